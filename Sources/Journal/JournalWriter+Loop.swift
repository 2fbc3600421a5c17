extension JournalWriter {
    private struct Turn {
        var isStopping: Bool
        var spaceWasFreed: Bool
    }

    /// The journal thread.
    func run() {
        if core.active == nil, !core.roll() { enterRefusal([]) }
        var drained: [FrameBatch] = []
        var lastProbe = monotonicNanoseconds()
        while true {
            let turn = take(&drained)
            let now = monotonicNanoseconds()
            core.pulse.lastTurn.store(now, ordering: .relaxed)
            switch preparer.takeAnswer() {
            case .nothingYet: break
            case .ready(let prepared): core.supply(prepared)
            case .gaveUp: core.releaseSpare()
            }
            commitAll(drained[...])
            drained.removeAll(keepingCapacity: true)
            if case .failed = core.state { break }
            if core.wantsSpare, preparer.request(number: core.storage.randomBits()) { core.reserveSpare() }
            let isProbeDue = now &- lastProbe >= core.options.probeIntervalMilliseconds * 1_000_000
            if core.refusal != nil, isProbeDue || turn.spaceWasFreed {
                lastProbe = now
                probe()
            }
            if turn.isStopping, isDrained { break }
        }
        end()
    }

    /// Waits for work, a tick or the end, and takes everything that is there.
    private func take(_ drained: inout [FrameBatch]) -> Turn {
        let now = monotonicNanoseconds()
        var tick = JournalLimits.idleTickNanoseconds
        if core.refusal != nil { tick = min(tick, core.options.probeIntervalMilliseconds * 1_000_000) }
        let linger = core.options.lingerMicroseconds * 1000
        if linger > 0 {
            waitForWork(until: now + tick)
            let full = core.options.groupBytesMax
            queue.wait(
                until: monotonicNanoseconds() + linger,
                isReady: { queue in
                    queue.isWaiting = true
                    return queue.pendingBytes >= full || queue.isStopping || queue.pending.isEmpty
                }, then: { $0.isWaiting = false })
        } else {
            waitForWork(until: now + tick)
        }
        return queue.withLock { queue in
            swap(&queue.pending, &drained)
            queue.pendingBytes = 0
            defer { queue.spaceWasFreed = false }
            return Turn(isStopping: queue.isStopping, spaceWasFreed: queue.spaceWasFreed)
        }
    }

    private func waitForWork(until deadline: UInt64) {
        queue.wait(
            until: deadline,
            isReady: { queue in
                let ready = !queue.pending.isEmpty || queue.isStopping || queue.spaceWasFreed
                queue.isWaiting = !ready
                return ready
            }, then: { $0.isWaiting = false })
    }

    private var isDrained: Bool { queue.withLock { $0.pending.isEmpty } }

    private func commitAll(_ drained: ArraySlice<FrameBatch>) {
        var rest = drained
        while !rest.isEmpty {
            let group = rest[rest.startIndex..<endOfGroup(rest)]
            switch core.commit(group) {
            case .durable(let place):
                rest = rest[group.endIndex...]
                report(group, place)
            case .refused:
                enterRefusal(rest)
                return
            }
        }
    }

    private func endOfGroup(_ batches: ArraySlice<FrameBatch>) -> Int {
        var end = batches.startIndex + 1
        var bytes = batches[batches.startIndex].byteCount
        var frames = batches[batches.startIndex].frameCount
        let bytesMax = min(core.options.groupBytesMax, core.room(first: bytes))
        while end < batches.endIndex {
            bytes += batches[end].byteCount
            frames += batches[end].frameCount
            if bytes > bytesMax || frames > core.options.groupFramesMax { break }
            end += 1
        }
        return end
    }

    private func report(_ group: ArraySlice<FrameBatch>, _ place: JournalCore<Store>.Place) {
        for batch in group { batch.isQueued = false }
        queue.withLock { queue in
            queue.openBatches -= group.count
            queue.openBytes -= place.bytes
            queue.counts.groups += place.bytes > 0 ? 1 : 0
            queue.counts.batches += UInt64(group.count)
            queue.counts.frames += UInt64(place.frames)
            queue.counts.bytes += UInt64(place.bytes)
        }
        observer.groupDurable(
            DurableGroup(
                firstSeq: place.firstSeq, frameCount: place.frames, byteCount: place.bytes,
                writeNanoseconds: place.writeNanoseconds, syncNanoseconds: place.syncNanoseconds, batches: group,
                start: place.start))
    }

    /// The journal stopped taking appends: shut the door, then abandon what is inside.
    private func enterRefusal(_ unwritten: ArraySlice<FrameBatch>) {
        let reason = core.refusal ?? .failed
        let waiting = queue.withLock { queue -> [FrameBatch] in
            // While stopping, appends are already refused, and as `stopped`; a failure is still the stronger word.
            if !queue.isStopping || reason == .failed { queue.refusal = reason }
            defer {
                queue.pending = []
                queue.pendingBytes = 0
            }
            return queue.pending
        }
        observer.journalStateChanged(core.state)
        abandon(unwritten, reason)
        abandon(waiting[...], reason)
    }

    private func abandon(_ batches: ArraySlice<FrameBatch>, _ reason: AppendRefusal) {
        guard !batches.isEmpty else { return }
        for batch in batches { batch.isQueued = false }
        queue.withLock { queue in
            queue.openBatches -= batches.count
            queue.openBytes -= batches.reduce(0) { $0 + $1.byteCount }
            queue.counts.abandoned += UInt64(batches.count)
        }
        observer.batchesAbandoned(batches, reason: reason)
    }

    private func probe() {
        let before = core.state
        if core.heal() {
            queue.withLock { queue in
                if !queue.isStopping { queue.refusal = nil }
            }
            observer.journalStateChanged(.running)
        } else if core.state != before {
            enterRefusal([])
        }
    }

    private func end() {
        if let prepared = preparer.stop() { core.discard(prepared) }
        core.finish()
        queue.withLock { queue in
            if queue.refusal == nil { queue.refusal = core.refusal ?? .stopped }
        }
        if core.state == .stopped { observer.journalStateChanged(.stopped) }
    }
}
