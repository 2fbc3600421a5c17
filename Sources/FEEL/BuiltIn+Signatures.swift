extension Signature {
    /// One entry per function, in the order of the enumeration.
    static let table: [Signature] = conversions + strings + lists + numbers + ranges + others

    private static let rangePair = "range1:a,range2:a"

    private static let conversions: [Signature] = [
        Signature(.date, "date", .fixed(.date), "from:a", "year:n,month:n,day:n"),
        Signature(.time, "time", .fixed(.time), "from:a", "hour:n,minute:n,second:n,offset:a?"),
        Signature(
            .dateAndTime, "date and time", .fixed(.dateTime), "from:a", "date:a,time:a",
            "year:n,month:n,day:n,hour:n,minute:n,second:n,offset:a?",
            "year:n,month:n,day:n,hour:n,minute:n,second:n,timezone:s?"),
        Signature(.number, "number", .fixed(.number), "from:s,grouping separator:s,decimal separator:s", "from:a"),
        Signature(.string, "string", .fixed(.string), "from:a"),
        Signature(.duration, "duration", .fixed(.any), "from:s"),
        Signature(
            .yearsAndMonthsDuration, "years and months duration", .fixed(.yearsMonthsDuration), "from:a,to:a"),
        Signature(.context, "context", .fixed(.any), "entries:a"),
        Signature(.range, "range", .fixed(.range(.any)), "from:s"),
        Signature(.not, "not", .fixed(.boolean), "negand:b"),
        Signature(.isSame, "is", .fixed(.boolean), "value1:a?,value2:a?"),
        Signature(.isDefined, "is defined", .fixed(.boolean), "value:a"),
        Signature(.getOrElse, "get or else", .first, "value:a,default:a"),
    ]

    private static let strings: [Signature] = [
        Signature(.substring, "substring", .fixed(.string), "string:s,start position:n,length:n?"),
        Signature(.stringLength, "string length", .fixed(.number), "string:s"),
        Signature(.upperCase, "upper case", .fixed(.string), "string:s"),
        Signature(.lowerCase, "lower case", .fixed(.string), "string:s"),
        Signature(.substringBefore, "substring before", .fixed(.string), "string:s,match:s"),
        Signature(.substringAfter, "substring after", .fixed(.string), "string:s,match:s"),
        Signature(.replace, "replace", .fixed(.string), "input:s,pattern:s,replacement:s,flags:s?"),
        Signature(.contains, "contains", .fixed(.boolean), "string:s,match:s"),
        Signature(.startsWith, "starts with", .fixed(.boolean), "string:s,match:s"),
        Signature(.endsWith, "ends with", .fixed(.boolean), "string:s,match:s"),
        Signature(.matches, "matches", .fixed(.boolean), "input:s,pattern:s,flags:s?"),
        Signature(.split, "split", .fixed(.list(.string)), "string:s,delimiter:s"),
        Signature(.stringJoin, "string join", .fixed(.string), "list:l,delimiter:s?"),
    ]

    private static let lists: [Signature] = [
        Signature(.listContains, "list contains", .fixed(.boolean), "list:l,element:a"),
        Signature(.listReplace, "list replace", .first, "list:l,position:n,newItem:a", "list:l,match:a,newItem:a"),
        Signature(.count, "count", .fixed(.number), "list:a"),
        Signature(.min, "min", .element, "list:a", variadic: true),
        Signature(.max, "max", .element, "list:a", variadic: true),
        Signature(.sum, "sum", .element, "list:a", variadic: true),
        Signature(.mean, "mean", .element, "list:a", variadic: true),
        Signature(.all, "all", .fixed(.boolean), "list:a", variadic: true),
        Signature(.any, "any", .fixed(.boolean), "list:a", variadic: true),
        Signature(.sublist, "sublist", .first, "list:l,start position:n,length:n?"),
        Signature(.append, "append", .fixed(.list(.any)), "list:l,item:a", variadic: true),
        Signature(.concatenate, "concatenate", .fixed(.list(.any)), "list:l", variadic: true),
        Signature(.insertBefore, "insert before", .fixed(.list(.any)), "list:l,position:n,newItem:a"),
        Signature(.remove, "remove", .first, "list:l,position:n"),
        Signature(.reverse, "reverse", .first, "list:l"),
        Signature(.indexOf, "index of", .fixed(.list(.number)), "list:l,match:a"),
        Signature(.union, "union", .fixed(.list(.any)), "list:l", variadic: true),
        Signature(.distinctValues, "distinct values", .first, "list:l"),
        Signature(.flatten, "flatten", .fixed(.list(.any)), "list:l"),
        Signature(.product, "product", .fixed(.number), "list:a", variadic: true),
        Signature(.median, "median", .fixed(.number), "list:a", variadic: true),
        Signature(.stddev, "stddev", .fixed(.number), "list:a", variadic: true),
        Signature(.mode, "mode", .fixed(.list(.number)), "list:a", variadic: true),
        Signature(.sort, "sort", .first, "list:l,precedes:a?"),
    ]

    private static let numbers: [Signature] = [
        Signature(.decimal, "decimal", .fixed(.number), "n:n,scale:n"),
        Signature(.floor, "floor", .fixed(.number), "n:n,scale:n?"),
        Signature(.ceiling, "ceiling", .fixed(.number), "n:n,scale:n?"),
        Signature(.roundUp, "round up", .fixed(.number), "n:n,scale:n?"),
        Signature(.roundDown, "round down", .fixed(.number), "n:n,scale:n?"),
        Signature(.roundHalfUp, "round half up", .fixed(.number), "n:n,scale:n?"),
        Signature(.roundHalfDown, "round half down", .fixed(.number), "n:n,scale:n?"),
        Signature(.abs, "abs", .first, "n:a"),
        Signature(.modulo, "modulo", .fixed(.number), "dividend:n,divisor:n"),
        Signature(.sqrt, "sqrt", .fixed(.number), "number:n"),
        Signature(.log, "log", .fixed(.number), "number:n"),
        Signature(.exp, "exp", .fixed(.number), "number:n"),
        Signature(.odd, "odd", .fixed(.boolean), "number:n"),
        Signature(.even, "even", .fixed(.boolean), "number:n"),
    ]

    private static let ranges: [Signature] = [
        Signature(
            .before, "before", .fixed(.boolean), "point1:a,point2:a", "point:a,range:a", "range:a,point:a", rangePair),
        Signature(
            .after, "after", .fixed(.boolean), "point1:a,point2:a", "point:a,range:a", "range:a,point:a", rangePair),
        Signature(.meets, "meets", .fixed(.boolean), rangePair),
        Signature(.metBy, "met by", .fixed(.boolean), rangePair),
        Signature(.overlaps, "overlaps", .fixed(.boolean), rangePair),
        Signature(.overlapsBefore, "overlaps before", .fixed(.boolean), rangePair),
        Signature(.overlapsAfter, "overlaps after", .fixed(.boolean), rangePair),
        Signature(.finishes, "finishes", .fixed(.boolean), "point:a,range:a", rangePair),
        Signature(.finishedBy, "finished by", .fixed(.boolean), "range:a,point:a", rangePair),
        Signature(.includes, "includes", .fixed(.boolean), "range:a,point:a", rangePair),
        Signature(.during, "during", .fixed(.boolean), "point:a,range:a", rangePair),
        Signature(.starts, "starts", .fixed(.boolean), "point:a,range:a", rangePair),
        Signature(.startedBy, "started by", .fixed(.boolean), "range:a,point:a", rangePair),
        Signature(.coincides, "coincides", .fixed(.boolean), "point1:a,point2:a", rangePair),
    ]

    private static let others: [Signature] = [
        Signature(.dayOfYear, "day of year", .fixed(.number), "date:a"),
        Signature(.dayOfWeek, "day of week", .fixed(.string), "date:a"),
        Signature(.monthOfYear, "month of year", .fixed(.string), "date:a"),
        Signature(.weekOfYear, "week of year", .fixed(.number), "date:a"),
        Signature(.now, "now", .fixed(.dateTime), ""),
        Signature(.today, "today", .fixed(.date), ""),
        Signature(.getValue, "get value", .fixed(.any), "m:c,key:s", "context:c,key:s"),
        Signature(
            .getEntries, "get entries", .fixed(.list(.context(["key": .string, "value": .any]))), "m:c", "context:c"),
        Signature(
            .contextPut, "context put", .fixed(.any), "context:c,key:s,value:a", "context:c,keys:l,value:a"),
        Signature(.contextMerge, "context merge", .fixed(.any), "contexts:l"),
    ]
}
