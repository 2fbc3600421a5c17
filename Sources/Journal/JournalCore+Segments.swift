extension JournalCore {
    /// Makes a segment ready to become the newest: blocks reserved and durable, no header, a name that is no segment's.
    /// Touches nothing but its own file, so it may run beside the journal thread.
    static func makeSpare(
        _ storage: Store, _ options: JournalOptions, number: UInt64
    ) throws(StorageError) -> Spare {
        let name = SegmentName.spare(number)
        let file = try storage.create(name, bytes: options.segmentBytes, preallocation: options.preallocation)
        do throws(StorageError) {
            try storage.synchronize(file)
            return Spare(name: name, file: file)
        } catch {
            storage.close(file)
            // The file holds nothing; when even this fails, the next recovery removes it.
            try? storage.remove(name)
            throw error
        }
    }

    /// True when the next segment should be prepared: half of this one is used and there is room for another.
    var wantsSpare: Bool {
        guard spare == nil, !isSpareReserved, refusal == nil, let active else { return false }
        return active.end > options.segmentBytes / 2
            && index.totalBytes + options.segmentBytes <= options.journalBytesMax
    }

    /// Counts the bytes of a segment that is about to be prepared elsewhere, so that both together keep the bound.
    func reserveSpare() {
        isSpareReserved = true
        index.setSpareBytes(options.segmentBytes)
    }

    /// The reserved segment could not be prepared.
    func releaseSpare() {
        isSpareReserved = false
        if spare == nil { index.setSpareBytes(0) }
    }

    /// Takes the segment that was reserved.
    func supply(_ prepared: Spare) {
        precondition(isSpareReserved && spare == nil, "a spare is reserved, then supplied once")
        isSpareReserved = false
        spare = prepared
    }

    /// Starts a new segment. False: the state says why, and nothing that was durable has changed.
    func roll() -> Bool {
        if spare == nil, index.totalBytes + options.segmentBytes > options.journalBytesMax {
            becomeJournalFull()
            return false
        }
        let fresh: Spare
        do throws(StorageError) {
            if let spare {
                fresh = spare
            } else {
                fresh = try Self.makeSpare(storage, options, number: storage.randomBits())
            }
        } catch {
            if error.isNoSpace { becomeFull(error) } else { fail(error) }
            return false
        }
        if spare != nil {
            spare = nil
            index.setSpareBytes(0)
        }
        let header = SegmentHeader(journalID: journalID, firstSeq: nextSeq, salt: storage.randomBits())
        let name = SegmentName.segment(firstSeq: nextSeq)
        do throws(StorageError) {
            try header.bytes.withUnsafeBufferPointer { (bytes) throws(StorageError) in
                try storage.write(UnsafeRawBufferPointer(bytes), to: fresh.file, at: 0)
            }
            try storage.synchronize(fresh.file)
            try storage.rename(fresh.name, to: name)
        } catch {
            discard(fresh)
            if error.isNoSpace { becomeFull(error) } else { fail(error) }
            return false
        }
        do throws(StorageError) {
            try storage.synchronizeDirectory()
        } catch {
            storage.close(fresh.file)
            fail(error)
            return false
        }
        guard sealActive() else {
            storage.close(fresh.file)
            return false
        }
        let start = Int64(SegmentHeader.byteCount)
        let seed = CRC32C.seed(salt: header.salt)
        active = Active(file: fresh.file, firstSeq: nextSeq, crcSeed: seed, end: start)
        index.append(
            SegmentIndex<Store>.Entry(
                firstSeq: nextSeq, lastSeq: nextSeq - 1, end: start, fileBytes: options.segmentBytes, crcSeed: seed,
                shared: nil))
        return true
    }

    /// Looks for space again; true when appends are taken again.
    func heal() -> Bool {
        switch state {
        case .running: return true
        case .failed, .stopped: return false
        case .diskFull, .journalFull:
            let before = state
            becomeRunning()
            if !roll() {
                // The first error stays the one that is told, unless the cause changed.
                if case .diskFull(let first) = before, case .diskFull = state { becomeFull(first) }
                return false
            }
            return true
        }
    }

    /// After a write that found no space: cuts back to the last durable frame, so that no fragment can ever be taken
    /// for a frame, and gives the segment up. The next one starts when there is space.
    func rollBack(_ segment: Active, _ cause: StorageError) {
        do throws(StorageError) {
            try storage.truncate(segment.file, to: segment.end)
            try storage.synchronize(segment.file)
        } catch {
            fail(error)
            return
        }
        storage.close(segment.file)
        index.setFileBytes(segment.end, ofSegment: segment.firstSeq)
        active = nil
        becomeFull(cause)
    }

    /// Gives the unused blocks of the active segment back and closes it. The cut needs no sync: zeros after the last
    /// frame of a complete segment mean the same.
    func sealActive() -> Bool {
        guard let segment = active else { return true }
        active = nil
        defer { storage.close(segment.file) }
        guard segment.end < options.segmentBytes else { return true }
        do throws(StorageError) {
            try storage.truncate(segment.file, to: segment.end)
        } catch {
            fail(error)
            return false
        }
        index.setFileBytes(segment.end, ofSegment: segment.firstSeq)
        return true
    }

    func discard(_ spare: Spare) {
        storage.close(spare.file)
        // It holds nothing; when removing fails, the next recovery does it.
        try? storage.remove(spare.name)
    }
}
