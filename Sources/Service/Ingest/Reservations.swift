import JSON

/// Which identities are reserved for frames that are not applied yet.
///
/// Slices pass the ingest gate in the order in which their frames stand in the journal; each gets a ticket, and the
/// journal's observer tells the highest ticket that is applied. So reservations on the way to the disk are told from
/// accepted events without a lock between the two.
struct Reservations: Sendable {
    private var slices: [(ticket: UInt64, identities: [Hash128])] = []
    private var head = 0
    private var lastTicket: UInt64 = 0

    /// Notes the reservations of one slice; returns its ticket, 0 when it has none.
    mutating func send(_ identities: [Hash128], applied: UInt64) -> UInt64 {
        while head < slices.count, slices[head].ticket <= applied { head += 1 }
        if head > 1_024 && head * 2 > slices.count {
            slices.removeFirst(head)
            head = 0
        }
        guard !identities.isEmpty else { return 0 }
        lastTicket += 1
        slices.append((lastTicket, identities))
        return lastTicket
    }

    /// Forgets a slice whose frames never reached the journal.
    mutating func cancel(_ ticket: UInt64) {
        guard ticket > 0, let index = slices[head...].firstIndex(where: { $0.ticket == ticket }) else { return }
        slices[index].identities = []
    }

    /// Identities reserved for frames after `applied`: of one partition, or all.
    func pending(after applied: UInt64, partition: Int? = nil) -> Set<Hash128> {
        var pending: Set<Hash128> = []
        for slice in slices[head...] where slice.ticket > applied {
            for identity in slice.identities where partition == nil || DedupeTable.partition(of: identity) == partition
            {
                pending.insert(identity)
            }
        }
        return pending
    }
}
