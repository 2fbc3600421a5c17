import CMicroHTTPD

/// The functions that libmicrohttpd calls, all on a loop's thread. `cls` is the loop, the request context the
/// connection.
enum Callbacks {
    private static func connection(_ held: UnsafeMutableRawPointer) -> Unmanaged<Connection> {
        Unmanaged<Connection>.fromOpaque(held)
    }

    static let access: MHD_AccessHandlerCallback = { _, library, _, method, version, piece, pieceSize, context in
        guard let library, let method, let version, let pieceSize, let held = context?.pointee else { return .NO }
        return connection(held)._withUnsafeGuaranteedRef {
            $0.access(library, method: method, version: version, piece: piece, pieceSize: pieceSize)
        }
    }

    /// Called with the request line; what it returns becomes the request context.
    static let target:
        @convention(c) (UnsafeMutableRawPointer?, UnsafePointer<CChar>?, OpaquePointer?) -> UnsafeMutableRawPointer? = {
            _, target, library in
            guard let target, let library, let held = cmhd_socket_context(library) else { return nil }
            connection(held)._withUnsafeGuaranteedRef { $0.targetArrived(target) }
            return held
        }

    static let completed: MHD_RequestCompletedCallback = { _, _, context, code in
        guard let held = context?.pointee else { return }
        connection(held)._withUnsafeGuaranteedRef { $0.completed(code) }
        context?.pointee = nil
    }

    /// Holds one reference to the connection for as long as the library has its socket.
    static let notify: MHD_NotifyConnectionCallback = { cls, library, context, event in
        guard let cls, let library, let context else { return }
        let loop = Unmanaged<Loop>.fromOpaque(cls).takeUnretainedValue()
        if event == .CONNECTION_NOTIFY_STARTED {
            guard let started = loop.libraryStarted(library) else { return }
            context.pointee = Unmanaged.passRetained(started).toOpaque()
        } else if let held = context.pointee {
            context.pointee = nil
            loop.libraryClosed(connection(held).takeRetainedValue())
        }
    }

    /// The library refuses what it cannot read.
    static let refusal: @convention(c) (OpaquePointer?, UInt32) -> OpaquePointer? = { library, status in
        guard let library, let held = cmhd_socket_context(library) else { return nil }
        return connection(held)._withUnsafeGuaranteedRef { $0.libraryRefuses(status) }
    }

    static let log: @convention(c) (UnsafeMutableRawPointer?, UnsafePointer<CChar>?, Int) -> Void = {
        cls, line, length in
        guard let cls, let line else { return }
        let bytes = UnsafeRawBufferPointer(start: line, count: length)
        Unmanaged<Loop>.fromOpaque(cls)._withUnsafeGuaranteedRef {
            $0.libraryLogged(String(decoding: bytes, as: UTF8.self))
        }
    }
}
