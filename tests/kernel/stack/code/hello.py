"""The function of the test stack: keeps each message's body, and says hello."""

import os

import boto3


def handler(event, context):
    table = boto3.client("dynamodb")
    for record in event.get("Records", []):
        item = {"pk": {"S": record["messageId"]}, "body": {"S": record["body"]}}
        table.put_item(TableName=os.environ["TABLE_NAME"], Item=item)
    if "scale" in event:
        boto3.client("ecs").update_service(cluster="fleet", service=event["scale"], desiredCount=2)
    return {"hello": os.environ["MODE"], "batchItemFailures": []}
