#!/usr/bin/env python3
"""Records the answers that `tripline demo` serves, from a real MLflow and a real moto filled with the demo's company.

usage: record_demo.py COMPANY.yaml OUT      (needs PyYAML and boto3; MLFLOW_URL and MOTO_URL say where, both empty)

Only what the servers answered is written: one file per listing. Times and tags change from day to day when the demo
plays them; shapes, field names and everything else stay as they came.
"""
import json
import os
import re
import sys
import urllib.parse
import urllib.request

import boto3
import yaml

company, out = yaml.safe_load(open(sys.argv[1])), sys.argv[2]
MLFLOW, MOTO = os.environ["MLFLOW_URL"], os.environ["MOTO_URL"]


def newest(value):
    """The last value of one that changed over time."""
    return value[-1][1] if isinstance(value, list) and value and isinstance(value[0], list) else value


def tags(given):
    return [{"key": k, "value": str(newest(v))} for k, v in given.items() if newest(v) is not None]


def mlflow(path, body=None, **query):
    url = f"{MLFLOW}/api/2.0/mlflow/{path}" + ("?" + urllib.parse.urlencode(query) if query else "")
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data=data, headers={"Content-Type": "application/json"})
    return json.load(urllib.request.urlopen(request))


def keep(name, answer):
    with open(os.path.join(out, name), "w") as file:
        json.dump(answer, file, indent=1)
        file.write("\n")


for model in company["models"]:
    mlflow("registered-models/create", {"name": model["name"], "tags": tags(model["tags"])})
    for number, version in enumerate(model["versions"], 1):
        source = f"s3://models/{model['name']}/{version['version']}"
        mlflow("model-versions/create", {"name": model["name"], "source": source, "tags": tags(version["tags"])})
    mlflow("registered-models/alias", {"name": model["name"], "alias": "production", "version": str(number)})
keep("registered-models.json", mlflow("registered-models/search", max_results=1000, order_by="name ASC"))
keep("model-versions.json", mlflow("model-versions/search", max_results=1000, order_by="name ASC"))

store = boto3.client("secretsmanager", endpoint_url=MOTO, region_name="eu-west-1",
                     aws_access_key_id="demo", aws_secret_access_key="demo")
for secret in company["secrets"]:
    owner = newest(secret["owner"])
    store.create_secret(Name=secret["name"], SecretString="-", Tags=[{"Key": "owner", "Value": owner}] if owner else [])
call = urllib.request.Request(MOTO, data=b'{"MaxResults": 100}', headers={
    "Content-Type": "application/x-amz-json-1.1", "X-Amz-Target": "secretsmanager.ListSecrets",
    "Authorization": "AWS4-HMAC-SHA256 Credential=demo/20260101/eu-west-1/secretsmanager/aws4_request"})
keep("secrets.json", json.load(urllib.request.urlopen(call)))

# Who asks: the ids that look like a key's are taken out.
call = urllib.request.Request(MOTO, data=b"Action=GetCallerIdentity&Version=2011-06-15", headers={
    "Content-Type": "application/x-www-form-urlencoded",
    "Authorization": "AWS4-HMAC-SHA256 Credential=demo/20260101/eu-west-1/sts/aws4_request"})
answer = urllib.request.urlopen(call).read().decode()
with open(os.path.join(out, "caller.xml"), "w") as file:
    file.write(re.sub(r"<(UserId|RequestId)>[^<]*<", r"<\1>demo<", answer) + "\n")
