import Features
import Journal

// What a start does for views whose rows the recovery did not bring back, before anything is served.
extension BackFill {
    /// Fills again, from the journal, what had been filled before the restart. Where the journal does not reach back that
    /// far, the view is back-filled from PostgreSQL as if it were new.
    ///
    /// - Parameter views: names of the views whose `view ready` frame was replayed.
    func recover(_ views: Set<String>) {
        for name in views.sorted() {
            guard let view = state.snapshot.views[name] else { continue }
            let spec = view.definition.spec
            let key = DefinitionKey(kind: .featureView, name: name)
            guard let entry = state.history.entry(key, version: spec.version), case .filled = entry.readiness else {
                continue
            }
            let through = max(Int64(entry.fromSeq), restoredThrough)
            if journal.firstSeq == 1, (try? replay(view, through: through)) != nil {
                state.features.filled(view: view.index)
                continue
            }
            state.history.set(.building, view: name, version: spec.version)
            state.install(state.snapshot.demoting(name))
        }
    }

    private func replay(_ view: ViewEntry, through: Int64) throws {
        var tail = TailReader(journal)
        var position: Int64 = 0
        while position < through {
            let page = try tail.page(view.definition, after: position, through: through)
            for change in page.changes { state.features.apply(view: view.index, change) }
            position = page.through
        }
    }

    /// Fills views again whose saved rows were not usable. Their tables take events from the snapshot's position on, and
    /// say that they do not reach back; PostgreSQL answers for them until a table that is filled beside takes their place.
    ///
    /// - Parameters:
    ///   - views: their names.
    ///   - applier: applies the frames to come; none is applied meanwhile.
    func rebuild(_ views: [String], _ applier: Applier) {
        for name in views {
            guard let old = state.snapshot.views[name] else { continue }
            let index = state.features.add(
                old.view, canSpill: old.definition.isIndexedBySubject, isFilling: true)
            guard let plan = try? state.features.plan(view: index) else {
                state.features.release(view: index)
                continue
            }
            let fresh = ViewEntry(
                definition: old.definition, view: old.view, index: index, plan: plan, store: state.features)
            let applied = Int64(state.appliedSeq.load(ordering: .acquiring))
            rebuilt.withLock { $0[fresh.versionedName] = applied }
            state.history.set(.building, view: name, version: old.definition.spec.version)
            applier.replace(state.snapshot.rebuilding(name, as: fresh))
        }
    }
}
