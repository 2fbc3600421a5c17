import Features
import Foundation
import Synchronization
import Testing

/// One position holds for everything that an answer is made from, while events go on: views of one key, and of several.
@Suite struct JointReadTests {
    /// Two views, and entities whose shards differ.
    struct Shop {
        let store = FeatureStore(shards: 16)
        let one: Int
        let two: Int
        let plans: [FeaturePlan]
        let isDone = Flag()

        init() throws {
            one = store.add(try FeatureStoreTests.smallView("a"))
            two = store.add(try FeatureStoreTests.smallView("b", entity: "shop"))
            plans = [try store.plan(view: one), try store.plan(view: two)]
        }

        /// Applies from a thread of its own, in groups, until there is no change more.
        func apply(_ count: Int64, _ changes: @escaping @Sendable (Int64) -> [FeatureChange]) {
            let (store, isDone) = (store, isDone)
            Thread.detachNewThread {
                for seq in 1...count {
                    store.apply(changes(seq))
                    if seq % 40 == 0 { store.advance(to: seq) }
                }
                store.advance(to: count)
                isDone.value.store(true, ordering: .releasing)
            }
        }
    }

    final class Flag: Sendable { let value = Atomic<Bool>(false) }

    static func count(_ vector: FeatureVector) -> Int64 {
        if case .integer(let count)? = vector.values.first { return count }
        return -1
    }

    /// Every event is of both views: both counts are the position of the answer. The second keys are in other shards.
    @Test(arguments: ["x", "y", "z", "some other key"]) func bothViewsHaveEveryEvent(_ other: String) throws {
        let shop = try Shop()
        let (one, two) = (shop.one, shop.two)
        shop.apply(9_000) { seq in
            [
                FeatureChange(view: one, event: FeatureStoreTests.event("x", seq)),
                FeatureChange(view: two, event: FeatureStoreTests.event(other, seq)),
            ]
        }
        var joint = JointRead()
        var alone = FeatureVector()
        var reads = 0
        while !shop.isDone.value.load(ordering: .acquiring) || reads == 0 {
            joint.begin()
            for (entity, plan) in zip(["x", other], shop.plans) { joint.add(entity, plan) }
            shop.store.read(&joint, asOf: .max)
            let found = (Self.count(joint.vectors[0]), Self.count(joint.vectors[1]), joint.featuresSeq)
            #expect(found.0 == found.2 && found.1 == found.2, "\(found)")
            shop.store.read(other, shop.plans[1], asOf: .max, into: &alone)
            #expect(Self.count(alone) == alone.featuresSeq)
            reads += 1
        }
        #expect(joint.vectors.map(\.status) == [.complete, .complete])
    }

    /// A correction that moves an event from one entity to another is seen whole or not at all.
    @Test func aMoveIsSeenWhole() throws {
        let shop = try Shop()
        let (one, moves) = (shop.one, Int64(9_000))
        for seq in 1...moves { shop.store.apply(view: one, FeatureStoreTests.event("x", seq)) }
        shop.store.advance(to: moves)
        shop.apply(moves) { number in
            let seq = moves + number
            let old = SupersededEvent(entity: "x", time: number, seq: number)
            return [
                FeatureChange(
                    view: one, superseded: (old, Supersession(seq: seq, ingestTime: seq)),
                    event: FeatureStoreTests.event("y", seq))
            ]
        }
        var joint = JointRead()
        while !shop.isDone.value.load(ordering: .acquiring) {
            joint.begin()
            for entity in ["x", "y"] { joint.add(entity, shop.plans[0]) }
            shop.store.read(&joint, asOf: .max)
            let found = (Self.count(joint.vectors[0]), Self.count(joint.vectors[1]))
            #expect(found.0 + found.1 == moves, "\(found)")
        }
    }

    @Test func nothingAskedForAndNothingThere() throws {
        let shop = try Shop()
        var joint = JointRead()
        shop.store.read(&joint, asOf: 1)
        #expect(joint.vectors.isEmpty && joint.featuresSeq == 0)
        shop.store.apply([])
        shop.store.apply([FeatureChange(view: shop.one, event: nil)])
        // What changes nothing in one view keeps nothing from another.
        let nothing = FeatureChange(view: shop.one, event: nil)
        shop.store.apply([nothing, FeatureChange(view: shop.two, event: FeatureStoreTests.event("x", 1))])
        var vector = FeatureVector()
        shop.store.read("x", shop.plans[1], asOf: 1, into: &vector)
        #expect(Self.count(vector) == 1)
        shop.store.advance(to: 5)
        joint.add("nobody", shop.plans[0])
        joint.add("nobody else", shop.plans[1])
        shop.store.read(&joint, asOf: 1)
        #expect(joint.vectors.map(Self.count) == [0, 0] && joint.featuresSeq == 5)
        #expect(joint.vectors.map(\.featuresSeq) == [5, 5])
        // A key that is too long is refused, as it is for one view.
        let long = String(repeating: "k", count: 70_000)
        shop.store.apply([FeatureChange(view: shop.one, event: FeatureStoreTests.event(long, 6))])
        #expect(shop.store.counts.entities == 1)
    }
}
