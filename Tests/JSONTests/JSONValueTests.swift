import JSON
import Testing

struct JSONValueTests {
    @Test func lookups() throws {
        let text = #"{"a":1,"key with \"quote\"":"v\n","\u00e9":[true,null],"":{"":2},"long key name here":"x"}"#
        try JSONDocument(Array(text.utf8)).withRoot { root in
            #expect(root.kind == .object && root.count == 5)
            #expect(root["a"]?.int64 == 1)
            #expect(root.member("key with \"quote\"")?.string == "v\n")
            #expect(root.member("é")?.count == 2)
            #expect(root[""]?[""]?.int64 == 2)
            #expect(root["long key name here"]?.equals("x") == true)
            #expect(root["long key name her"] == nil && root["b"] == nil && root["a"]?["a"] == nil)
            #expect(root.members.map(\.key) == ["a", "key with \"quote\"", "é", "", "long key name here"])
            #expect(root.members.map(\.value.kind) == [.number, .string, .array, .object, .string])
            #expect(
                String(decoding: root.member("é")?.raw ?? .init(start: nil, count: 0), as: UTF8.self) == "[true,null]")
            let escaped = root.member("key with \"quote\"")
            #expect(escaped?.equals("v\n") == true && escaped?.equals("v\\n") == false && escaped?.plainUTF8 == nil)
            #expect(escaped.map { String(decoding: $0.raw, as: UTF8.self) } == #""v\n""#)
            #expect(root["a"]?.offset == 5 && root["a"]?.string == nil && root["a"]?.bool == nil)
            #expect(root.member("é")?.elements.map(\.isNull) == [false, true])
            #expect(root.member("é")?.members.map(\.key) == [])
        }
    }

    @Test func decodesEveryEscape() throws {
        let text = #""\"\\\/\b\f\n\r\t\u0041\u00e9\u20ac\ud83d\uDE00é€😀""#
        try JSONDocument(Array(text.utf8)).withRoot { root in
            #expect(root.string == "\"\\/\u{8}\u{C}\n\r\tAé€😀é€😀")
        }
    }

    @Test func pointers() throws {
        // The examples of RFC 6901 section 5.
        let text = ##"{"foo":["bar","baz"],"":0,"a/b":1,"c%d":2,"e^f":3,"g|h":4,"i\\j":5,"k\"l":6," ":7,"m~n":8}"##
        let tree = try JSONTree(parsing: text)
        let cases: [(String, String?)] = [
            ("", tree.bytes.count > 0 ? String(decoding: tree.bytes, as: UTF8.self) : nil), ("/foo", #"["bar","baz"]"#),
            ("/foo/0", "\"bar\""), ("/", "0"), ("/a~1b", "1"), ("/c%d", "2"), ("/e^f", "3"), ("/g|h", "4"),
            ("/i\\j", "5"), ("/k\"l", "6"), ("/ ", "7"), ("/m~0n", "8"), ("/foo/2", nil), ("/foo/00", nil),
            ("/foo/-", nil), ("/foo/+1", nil), ("/none", nil), ("/foo/0/x", nil),
        ]
        let document = try JSONDocument(Array(text.utf8))
        for (spelling, expected) in cases {
            let pointer = try #require(JSONPointer(parsing: spelling))
            #expect(pointer.text == spelling)
            #expect(tree.value(at: pointer).map { String(decoding: $0.bytes, as: UTF8.self) } == expected)
            document.withRoot { root in
                #expect(root.value(at: pointer)?.tree() == tree.value(at: pointer))
            }
        }
        #expect(
            JSONPointer(parsing: "foo") == nil && JSONPointer(parsing: "/~") == nil
                && JSONPointer(parsing: "/~2") == nil)
        #expect(JSONPointer.root.appending("a/b").appending(3).appending("~").text == "/a~1b/3/~0")
    }

    @Test func canonicalForm() throws {
        let left = try JSONTree(parsing: #"{ "b":1.50, "a":[ 15e-1, "\u0041\/" ], "é":null, "z":{"y":1,"x":-0}}"#)
        let right = try JSONTree(parsing: #"{"a":[1.5,"A/"],"z":{"x":0,"y":1.0},"b":1.5,"\u00e9":null}"#)
        #expect(left != right && left.canonicalBytes == right.canonicalBytes)
        #expect(
            String(decoding: left.canonicalBytes, as: UTF8.self)
                == #"{"a":[1.5,"A/"],"b":1.5,"z":{"x":0,"y":1},"é":null}"#)
        #expect(try JSONTree(parsing: "[9007199254740993]").canonicalBytes == Array("[9007199254740993]".utf8))
    }

    @Test func treeConveniences() throws {
        let tree = JSONTree.members(["a": .integer(3), "b": .array([.bool(true), .null]), "c": .string("x")])
        #expect(tree["a"]?.int64 == 3 && tree["a"]?.double == 3 && tree["b"]?[0]?.bool == true)
        #expect(tree["b"]?[1]?.isNull == true && tree["b"]?[2] == nil && tree["c"]?.string == "x" && tree["d"] == nil)
        #expect(tree.object?.count == 3 && tree["b"]?.array?.count == 2 && tree.kind == .object)
    }
}
