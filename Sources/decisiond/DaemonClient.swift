import Foundation
import Synchronization

#if canImport(FoundationNetworking)
    import FoundationNetworking
#endif

/// Talks to a running daemon, for the commands that change it.
struct DaemonClient {
    /// What came back.
    struct Answer: Sendable {
        let status: Int
        let body: Data
    }

    /// What the completion handler leaves for the waiting thread.
    private final class Box: Sendable {
        let answer = Mutex<Result<Answer, ConfigurationError>?>(nil)
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
            let answer: Result<Answer, ConfigurationError>
            if let response = response as? HTTPURLResponse {
                answer = .success(Answer(status: response.statusCode, body: data ?? Data()))
            } else {
                let problem = error?.localizedDescription ?? "no answer"
                answer = .failure(ConfigurationError(description: "\(url): \(problem)"))
            }
            box.answer.withLock { $0 = answer }
            done.signal()
        }.resume()
        done.wait()
        guard let answer = box.answer.withLock({ $0 }) else { preconditionFailure("signalled without an answer") }
        return try answer.get()
    }
}
