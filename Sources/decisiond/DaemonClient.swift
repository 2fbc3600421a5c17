import Foundation

#if canImport(FoundationNetworking)
    import FoundationNetworking
#endif

/// Talks to a running daemon, for the commands that change it.
struct DaemonClient {
    /// What came back.
    struct Answer {
        let status: Int
        let body: Data
    }

    /// What the completion handler leaves for the waiting thread.
    private final class Box: @unchecked Sendable {
        // SAFETY: written once before the semaphore is signalled, read after it was waited for.
        var answer: Answer?
        var problem: String?
    }

    let url: String
    let key: String

    /// Sends one request and waits for its answer.
    func send(_ method: String, _ path: String, _ body: Data, _ contentType: String) throws -> Answer {
        guard let target = URL(string: url + path) else {
            throw ConfigurationError(description: "\(url) is not a URL")
        }
        var request = URLRequest(url: target, timeoutInterval: 180)
        request.httpMethod = method
        request.httpBody = body
        request.setValue(contentType, forHTTPHeaderField: "Content-Type")
        request.setValue("Bearer \(key)", forHTTPHeaderField: "Authorization")
        let done = DispatchSemaphore(value: 0)
        let box = Box()
        URLSession.shared.dataTask(with: request) { data, response, error in
            if let response = response as? HTTPURLResponse {
                box.answer = Answer(status: response.statusCode, body: data ?? Data())
            } else {
                box.problem = error?.localizedDescription ?? "no answer"
            }
            done.signal()
        }.resume()
        done.wait()
        if let answer = box.answer { return answer }
        throw ConfigurationError(description: "\(url): \(box.problem ?? "no answer")")
    }
}
