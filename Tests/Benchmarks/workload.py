"""Synthetic customers and purchases in the shape of the demo's contracts, the same for a given seed."""
import datetime
import random

EVENT = ('{"specversion":"1.0","id":"%s","source":"/shops/bench","type":"com.example.retail.purchase","subject":"B%06d",'
         '"time":"%s","datacontenttype":"application/json","data":{"invoice":"I%07d","product":"P%04d",'
         '"description":"BENCHMARK ITEM %04d","quantity":%d,"unit_price":%d.%02d,"amount":%d.%02d,"currency":"GBP",'
         '"country":"United Kingdom"}}')
CUSTOMER = ('{"specversion":"1.0","id":"B%06d","source":"/crm/bench","type":"com.example.retail.customer",'
            '"subject":"B%06d","time":"2026-01-01T00:00:00Z","datacontenttype":"application/json",'
            '"data":{"customer_id":"B%06d","country":"United Kingdom"}}')
BATCH_LINES = 10_000


def event(identity, customer, moment, generator):
    quantity = generator.randint(1, 24)
    pence = generator.randint(10, 1_999)
    total = quantity * pence
    product = generator.randint(0, 3_999)
    text = moment.strftime("%Y-%m-%dT%H:%M:%S.") + f"{moment.microsecond // 1000:03d}Z"
    return EVENT % (identity, customer, text, generator.randint(0, 9_999_999), product, product, quantity, pence // 100,
                    pence % 100, total // 100, total % 100)


def batches(lines):
    """Bodies of BATCH_LINES lines each, with their number of lines."""
    batch = []
    for line in lines:
        batch.append(line)
        if len(batch) == BATCH_LINES:
            yield len(batch), ("\n".join(batch) + "\n").encode()
            batch = []
    if batch:
        yield len(batch), ("\n".join(batch) + "\n").encode()


def customers(count):
    return (CUSTOMER % (number, number, number) for number in range(count))


def purchases(entities, per_entity, now, seed=1):
    """`per_entity` rounds over all customers, spread over the last 60 days in order of time."""
    generator = random.Random(seed)
    total = entities * per_entity
    start = now - datetime.timedelta(days=60)
    step = datetime.timedelta(days=60) / max(1, total)
    for number in range(total):
        yield event(f"b{seed}-{number}", number % entities, start + number * step, generator)
