/// Result types of operators, as far as operand types are known.
enum TypeRules {
    static func arithmetic(_ operation: ArithmeticOperator, _ a: FEELType, _ b: FEELType) -> FEELType {
        switch (operation, a, b) {
        case (_, .number, .number): return .number
        case (.add, .string, .string): return .string
        case (.subtract, .date, .date), (.subtract, .dateTime, .dateTime), (.subtract, .time, .time),
            (.subtract, .date, .dateTime), (.subtract, .dateTime, .date):
            return .daysTimeDuration
        case (.add, .daysTimeDuration, .daysTimeDuration), (.subtract, .daysTimeDuration, .daysTimeDuration):
            return .daysTimeDuration
        case (.add, .yearsMonthsDuration, .yearsMonthsDuration),
            (.subtract, .yearsMonthsDuration, .yearsMonthsDuration):
            return .yearsMonthsDuration
        case (.add, .date, .yearsMonthsDuration), (.subtract, .date, .yearsMonthsDuration),
            (.add, .yearsMonthsDuration, .date), (.add, .date, .daysTimeDuration),
            (.subtract, .date, .daysTimeDuration), (.add, .daysTimeDuration, .date):
            return .date
        case (.add, .dateTime, .yearsMonthsDuration), (.subtract, .dateTime, .yearsMonthsDuration),
            (.add, .yearsMonthsDuration, .dateTime), (.add, .dateTime, .daysTimeDuration),
            (.subtract, .dateTime, .daysTimeDuration), (.add, .daysTimeDuration, .dateTime):
            return .dateTime
        case (.add, .time, .daysTimeDuration), (.subtract, .time, .daysTimeDuration), (.add, .daysTimeDuration, .time):
            return .time
        case (.multiply, .daysTimeDuration, .number), (.multiply, .number, .daysTimeDuration),
            (.divide, .daysTimeDuration, .number):
            return .daysTimeDuration
        case (.multiply, .yearsMonthsDuration, .number), (.multiply, .number, .yearsMonthsDuration),
            (.divide, .yearsMonthsDuration, .number):
            return .yearsMonthsDuration
        case (.divide, .daysTimeDuration, .daysTimeDuration), (.divide, .yearsMonthsDuration, .yearsMonthsDuration):
            return .number
        case (_, .any, _), (_, _, .any): return .any
        default: return .null
        }
    }

    static func path(_ type: FEELType, _ name: String) -> FEELType {
        switch type {
        case .list(let element): return .list(path(element, name))
        case .context(let fields): return fields[name] ?? .any
        case .date, .time, .dateTime:
            switch name {
            case "time offset": return .daysTimeDuration
            case "timezone": return .string
            default: return .number
            }
        case .daysTimeDuration, .yearsMonthsDuration: return .number
        case .range(let endpoint): return name.hasSuffix("included") ? .boolean : endpoint
        default: return .any
        }
    }
}
