import Contracts
import JSON

/// The contracts of the retail scenario, the same as their YAML files.
enum Fixtures {
    static let retailEvents = """
        {
         "apiVersion": "v3.1.0",
         "kind": "DataContract",
         "id": "retail-events",
         "name": "retail_events",
         "version": "1.0.0",
         "status": "active",
         "domain": "retail",
         "description": {
          "purpose": "Invoice lines of the online shop, purchases and refunds, as CloudEvents.",
          "limitations": "Shop local time is taken as UTC."
         },
         "team": {
          "name": "Retail data",
          "members": [
           {
            "username": "data-steward",
            "role": "Owner"
           }
          ]
         },
         "customProperties": [
          {
           "property": "decisiond.kind",
           "value": "stream"
          },
          {
           "property": "decisiond.eventTypes",
           "value": [
            "com.example.retail.purchase",
            "com.example.retail.refund"
           ]
          }
         ],
         "schema": [
          {
           "name": "retail_events",
           "logicalType": "object",
           "description": "One event per invoice line.",
           "properties": [
            {
             "name": "id",
             "logicalType": "string",
             "required": true
            },
            {
             "name": "source",
             "logicalType": "string",
             "required": true
            },
            {
             "name": "type",
             "logicalType": "string",
             "required": true
            },
            {
             "name": "subject",
             "logicalType": "string",
             "required": true,
             "description": "The customer.",
             "relationships": [
              {
               "to": "customers.customer_id"
              }
             ]
            },
            {
             "name": "time",
             "logicalType": "timestamp",
             "required": true
            },
            {
             "name": "data",
             "logicalType": "object",
             "required": true,
             "properties": [
              {
               "name": "invoice",
               "logicalType": "string"
              },
              {
               "name": "product",
               "logicalType": "string",
               "required": true
              },
              {
               "name": "description",
               "logicalType": "string",
               "classification": "personal"
              },
              {
               "name": "quantity",
               "logicalType": "integer",
               "required": true
              },
              {
               "name": "unit_price",
               "logicalType": "number"
              },
              {
               "name": "amount",
               "logicalType": "number",
               "required": true,
               "description": "Quantity times unit price in GBP, rounded to pence.",
               "logicalTypeOptions": {
                "multipleOf": 0.01
               }
              },
              {
               "name": "currency",
               "logicalType": "string"
              },
              {
               "name": "country",
               "logicalType": "string"
              }
             ],
             "quality": []
            }
           ],
           "quality": [
            {
             "id": "volume",
             "metric": "rowCount",
             "mustBeGreaterThan": 0,
             "dimension": "completeness",
             "severity": "warning"
            }
           ]
          }
         ],
         "slaProperties": [
          {
           "property": "freshness",
           "value": 1,
           "unit": "d",
           "element": "retail_events.time"
          },
          {
           "property": "retention",
           "value": 3,
           "unit": "y",
           "element": "retail_events.time"
          }
         ]
        }
        """

    static let customers = """
        {
         "apiVersion": "v3.1.0",
         "kind": "DataContract",
         "id": "customers",
         "name": "customers",
         "version": "1.0.0",
         "status": "active",
         "domain": "retail",
         "customProperties": [
          {
           "property": "decisiond.kind",
           "value": "reference"
          },
          {
           "property": "decisiond.eventTypes",
           "value": [
            "com.example.retail.customer"
           ]
          }
         ],
         "schema": [
          {
           "name": "customers",
           "logicalType": "object",
           "description": "The known customers; one row per event.",
           "properties": [
            {
             "name": "customer_id",
             "logicalType": "string",
             "required": true,
             "primaryKey": true,
             "primaryKeyPosition": 1
            },
            {
             "name": "country",
             "logicalType": "string",
             "classification": "internal"
            }
           ]
          }
         ]
        }
        """

    static func retail() throws -> CompiledContract {
        try Contract.compile(JSONTree(parsing: retailEvents))
    }
}
