import JSON

extension DocumentShape.Element {
    /// Reports every place where `tree` differs from the standard.
    func check(_ tree: JSONTree, at pointer: JSONPointer, _ issues: inout IssueList, depth: Int = 0) {
        guard depth <= ContractsLimits.depthMax else {
            issues.add(.limit, pointer, "nested more than \(ContractsLimits.depthMax) levels deep")
            return
        }
        guard case .object(let members) = tree else {
            issues.add(.wrongType, pointer, "must be an object")
            return
        }
        let shape = shape
        for member in members {
            let place = pointer.appending(member.key)
            guard let content = shape.keys[member.key] else {
                if !shape.isOpen { issues.add(.unknownKey, place, "the standard has no such key here") }
                continue
            }
            if !member.value.isNull { content.check(member.value, at: place, &issues, depth: depth) }
        }
        for key in shape.required where tree[key]?.isNull ?? true {
            issues.add(.missingKey, pointer, "the key '\(key)' is required")
        }
    }
}

extension DocumentShape.Content {
    fileprivate func check(_ tree: JSONTree, at pointer: JSONPointer, _ issues: inout IssueList, depth: Int) {
        switch self {
        case .anything: return
        case .text: expect(tree.kind == .string, "a string", pointer, &issues)
        case .number: expect(tree.kind == .number, "a number", pointer, &issues)
        case .integer: expect(tree.int64 != nil, "an integer", pointer, &issues)
        case .truth: expect(tree.kind == .bool, "true or false", pointer, &issues)
        case .scalar: expect(tree.kind != .array && tree.kind != .object, "a single value", pointer, &issues)
        case .texts: expect(Self.isTexts(tree), "a list of strings", pointer, &issues)
        case .textOrTexts:
            let isFilled = tree.kind == .string || (Self.isTexts(tree) && tree.array?.isEmpty == false)
            expect(isFilled, "a string or a list of strings", pointer, &issues)
        case .identifier:
            guard let text = tree.string else { return expect(false, "a string", pointer, &issues) }
            if !Self.isIdentifier(text) {
                issues.add(.invalidValue, pointer, "an id holds letters, digits, '-' and '_' only")
            }
        case .oneOf(let allowed):
            guard let text = tree.string else { return expect(false, "a string", pointer, &issues) }
            if !allowed.contains(text) {
                issues.add(.invalidValue, pointer, "must be one of: " + allowed.joined(separator: ", "))
            }
        case .element(let element): element.check(tree, at: pointer, &issues, depth: depth + 1)
        case .elements(let element): Self.checkList(tree, of: element, at: pointer, &issues, depth: depth)
        case .team:
            if tree.kind == .array {
                Self.checkList(tree, of: .member, at: pointer, &issues, depth: depth)
            } else {
                DocumentShape.Element.team.check(tree, at: pointer, &issues, depth: depth + 1)
            }
        }
    }

    private func expect(_ holds: Bool, _ what: String, _ pointer: JSONPointer, _ issues: inout IssueList) {
        if !holds { issues.add(.wrongType, pointer, "must be \(what)") }
    }

    private static func isTexts(_ tree: JSONTree) -> Bool {
        tree.array?.allSatisfy { $0.kind == .string } ?? false
    }

    private static func isIdentifier(_ text: String) -> Bool {
        !text.isEmpty
            && text.utf8.allSatisfy { byte in
                byte &- UInt8(ascii: "0") <= 9 || (byte | 0x20) &- UInt8(ascii: "a") <= 25
                    || byte == UInt8(ascii: "-") || byte == UInt8(ascii: "_")
            }
    }

    private static func checkList(
        _ tree: JSONTree, of element: DocumentShape.Element, at pointer: JSONPointer, _ issues: inout IssueList,
        depth: Int
    ) {
        guard let list = tree.array else {
            issues.add(.wrongType, pointer, "must be a list")
            return
        }
        for (index, each) in list.enumerated() {
            element.check(each, at: pointer.appending(index), &issues, depth: depth + 1)
        }
    }
}
