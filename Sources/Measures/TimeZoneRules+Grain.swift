import FEEL

extension TimeZoneRules {
    /// Start of the grain that holds an instant [microseconds]. Days and longer start at the first instant of the
    /// local date.
    public func start(of grain: TimeGrain, containing timeMicros: Int64) -> Int64 {
        if grain == .quarterHour { return RollupTable.bucket(of: timeMicros) }
        let utc = floorDivide(timeMicros, by: 1_000_000)
        let local = utc + Int64(offsetSeconds(at: timeMicros))
        if grain == .hour { return hourStart(utc, local) * 1_000_000 }
        let date = CivilDate(days: floorDivide(local, by: 86_400))
        return self.utc(local: Self.first(of: grain, date).days * 86_400) * 1_000_000
    }

    /// Start of the grain after the one that starts at `start` [microseconds].
    public func next(_ grain: TimeGrain, after start: Int64) -> Int64 {
        switch grain {
        case .quarterHour:
            return start + MeasureLimits.bucketMicros
        case .hour:
            var next = start + MeasureLimits.bucketMicros
            while self.start(of: .hour, containing: next) <= start { next += MeasureLimits.bucketMicros }
            return self.start(of: .hour, containing: next)
        case .day, .week, .month, .quarter, .year:
            let local = floorDivide(start, by: 1_000_000) + Int64(offsetSeconds(at: start))
            let date = Self.first(of: grain, CivilDate(days: floorDivide(local, by: 86_400)))
            return utc(local: Self.successor(of: grain, date).days * 86_400) * 1_000_000
        }
    }

    /// Start of a local date `YYYY-MM-DD` [microseconds]; nil when the text is no date.
    public func start(ofDate text: some StringProtocol) -> Int64? {
        guard let days = Self.days(text) else { return nil }
        return utc(local: days * 86_400) * 1_000_000
    }

    /// Start of the day after a local date `YYYY-MM-DD` [microseconds]; nil when the text is no date.
    public func end(ofDate text: some StringProtocol) -> Int64? {
        guard let days = Self.days(text) else { return nil }
        return utc(local: (days + 1) * 86_400) * 1_000_000
    }

    /// The local date and time of an instant, `YYYY-MM-DDTHH:MM:SS`, as Cube labels a time bucket.
    public func label(_ timeMicros: Int64) -> String {
        let local = floorDivide(timeMicros, by: 1_000_000) + Int64(offsetSeconds(at: timeMicros))
        let days = floorDivide(local, by: 86_400)
        let date = CivilDate(days: days)
        let seconds = Int(local - days * 86_400)
        func two(_ value: Int) -> String { value < 10 ? "0\(value)" : "\(value)" }
        let year = String(repeating: "0", count: max(0, 4 - "\(date.year)".utf8.count)) + "\(date.year)"
        return "\(year)-\(two(date.month))-\(two(date.day))"
            + "T\(two(seconds / 3_600)):\(two(seconds / 60 % 60)):\(two(seconds % 60))"
    }

    /// The wall-clock hour, cut at a change of offset inside it, so that no instant is in two hours.
    private func hourStart(_ utc: Int64, _ local: Int64) -> Int64 {
        let start = utc - (local - floorDivide(local, by: 3_600) * 3_600)
        let offset = offsetSeconds(at: utc * 1_000_000)
        if offsetSeconds(at: start * 1_000_000) == offset { return start }
        var (low, high) = (start, utc)
        while high - low > 1 {
            let middle = low + (high - low) / 2
            if offsetSeconds(at: middle * 1_000_000) == offset { high = middle } else { low = middle }
        }
        return high
    }

    private static func first(of grain: TimeGrain, _ date: CivilDate) -> CivilDate {
        switch grain {
        case .quarterHour, .hour, .day: date
        // 1970-01-01 was a Thursday, three days after its Monday.
        case .week: CivilDate(days: floorDivide(date.days + 3, by: 7) * 7 - 3)
        case .month: CivilDate(year: date.year, month: date.month, day: 1)
        case .quarter: CivilDate(year: date.year, month: (date.month - 1) / 3 * 3 + 1, day: 1)
        case .year: CivilDate(year: date.year, month: 1, day: 1)
        }
    }

    private static func successor(of grain: TimeGrain, _ date: CivilDate) -> CivilDate {
        func months(_ count: Int) -> CivilDate {
            let month = date.month - 1 + count
            return CivilDate(year: date.year + month / 12, month: month % 12 + 1, day: 1)
        }
        switch grain {
        case .quarterHour, .hour, .day: return CivilDate(days: date.days + 1)
        case .week: return CivilDate(days: date.days + 7)
        case .month: return months(1)
        case .quarter: return months(3)
        case .year: return months(12)
        }
    }

    private static func days(_ text: some StringProtocol) -> Int64? {
        let parts = text.split(separator: "-", omittingEmptySubsequences: false)
        guard parts.count == 3, parts[0].utf8.count == 4, parts[1].utf8.count == 2, parts[2].utf8.count == 2,
            let year = Int(parts[0]), let month = Int(parts[1]), let day = Int(parts[2]), year >= 1,
            (1...12).contains(month), day >= 1, day <= CivilDate.length(year: year, month: month)
        else { return nil }
        return CivilDate(year: year, month: month, day: day).days
    }
}
