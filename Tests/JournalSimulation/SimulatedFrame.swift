import Journal

/// Frames made by hand, with a checksum that is right: for tests that want to get past it.
public enum SimulatedFrame {
    /// The bytes of one frame of a segment with this salt.
    public static func bytes(seq: UInt64, type: UInt8, groupIndex: UInt32, payload: [UInt8], salt: UInt64) -> [UInt8] {
        let total = FrameCodec.frameBytes(payload: payload.count)
        var frame = [UInt8](repeating: 0, count: total)
        frame.withUnsafeMutableBytes { raw in
            raw.storeBytes(of: UInt32(payload.count).littleEndian, as: UInt32.self)
            raw.storeBytes(of: seq.littleEndian, toByteOffset: 8, as: UInt64.self)
            raw.storeBytes(of: UInt64(type), toByteOffset: 16, as: UInt64.self)
            raw.storeBytes(of: groupIndex.littleEndian, toByteOffset: 20, as: UInt32.self)
            UnsafeMutableRawBufferPointer(rebasing: raw[FrameCodec.headerBytes...]).copyBytes(from: payload)
            var crc = CRC32C()
            withUnsafeBytes(of: salt.littleEndian) { crc.update($0) }
            crc.update(UnsafeRawBufferPointer(rebasing: raw[0..<4]))
            crc.update(UnsafeRawBufferPointer(rebasing: raw[8...]))
            raw.storeBytes(of: crc.value.littleEndian, toByteOffset: 4, as: UInt32.self)
        }
        return frame
    }
}
