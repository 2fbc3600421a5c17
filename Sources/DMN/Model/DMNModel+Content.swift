extension DMNModel {
    /// Every decision table of the model, wherever it stands.
    public var tables: [BoxedTable] {
        var tables: [BoxedTable] = []
        for element in elements {
            switch element {
            case .decision(let decision): decision.expression?.collect(&tables)
            case .businessKnowledgeModel(let knowledge): knowledge.logic?.body?.collect(&tables)
            case .inputData, .decisionService, .knowledgeSource: break
            }
        }
        return tables
    }

    /// Names of the decisions that no other decision of this model requires, in the file's order: what the model is
    /// for, unless its author says otherwise.
    public var finalDecisions: [String] {
        var required: Set<String> = []
        var decisions: [Decision] = []
        for case .decision(let decision) in elements {
            decisions.append(decision)
            for requirement in decision.requirements where requirement.kind == .decision {
                required.insert(requirement.href)
            }
        }
        return decisions.filter { decision in
            guard let id = decision.id else { return true }
            return !required.contains("#\(id)") && !required.contains("\(namespace)#\(id)")
        }.map(\.name)
    }
}

extension BoxedExpression {
    /// Adds the tables in this expression, in the order in which they stand.
    fileprivate func collect(_ tables: inout [BoxedTable]) {
        switch kind {
        case .literal: break
        case .decisionTable(let table): tables.append(table)
        case .context(let entries): for entry in entries { entry.value?.collect(&tables) }
        case .invocation(let function, let bindings):
            function.collect(&tables)
            for binding in bindings { binding.value?.collect(&tables) }
        case .relation(_, let rows): for row in rows { for cell in row.cells { cell.collect(&tables) } }
        case .list(let items): for item in items { item.collect(&tables) }
        case .conditional(let condition, let then, let otherwise):
            for part in [condition, then, otherwise] { part?.collect(&tables) }
        case .filter(let list, let match): for part in [list, match] { part?.collect(&tables) }
        case .iteration(_, _, let domain, let body): for part in [domain, body] { part?.collect(&tables) }
        case .function(let definition): definition.body?.collect(&tables)
        }
    }
}

extension BoxedTable.Input {
    /// How traces call the column: the author's label, else the tested expression.
    public var name: String { label ?? expression.text }
}
