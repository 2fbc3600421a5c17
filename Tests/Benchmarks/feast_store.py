"""Makes a Feast project with ten float features of 10,000 entities in a SQLite online store, as feast's own guide does.

    feast_store.py DIRECTORY
"""
import datetime
import pathlib
import sys

import pandas
from feast import Entity, FeatureStore, FeatureView, Field, FileSource
from feast.types import Float32
from feast.value_type import ValueType

ENTITIES = 10_000


def main():
    directory = pathlib.Path(sys.argv[1])
    directory.mkdir(parents=True)
    (directory / "feature_store.yaml").write_text(
        f"project: bench\nregistry: {directory}/registry.db\nprovider: local\nentity_key_serialization_version: 3\n"
        f"online_store:\n  type: sqlite\n  path: {directory}/online.db\n")
    names = [f"f{number}" for number in range(10)]
    now = datetime.datetime.now(datetime.timezone.utc)
    frame = pandas.DataFrame({name: [float(number * 31 + i) for i in range(ENTITIES)]
                              for number, name in enumerate(names)}).astype("float32")
    frame["customer"] = range(ENTITIES)
    frame["at"] = now
    frame["created"] = now
    frame.to_parquet(directory / "features.parquet")
    customer = Entity(name="customer", join_keys=["customer"], value_type=ValueType.INT64)
    view = FeatureView(
        name="spend", entities=[customer], ttl=datetime.timedelta(days=365),
        schema=[Field(name=name, dtype=Float32) for name in names],
        source=FileSource(path=str(directory / "features.parquet"), timestamp_field="at",
                          created_timestamp_column="created"))
    store = FeatureStore(str(directory))
    store.apply([customer, view])
    store.write_to_online_store("spend", frame)


if __name__ == "__main__":
    main()
