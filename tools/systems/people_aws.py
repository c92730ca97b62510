#!/usr/bin/env python3
"""Makes the identities of a moto that checks rights: an administrator, a reader, and a role for the reader.

usage: people_aws.py URL OUT          on a server started with three free calls

Writes OUT/{admin,reader}.{id,secret} and OUT/role.arn. The reader may see metadata and nothing else.
"""

import json
import os
import sys

import boto3

url, out = sys.argv[1:3]
os.makedirs(out, exist_ok=True)
METADATA = [
    "iam:GetAccessKeyLastUsed", "iam:ListAccessKeys", "iam:GetUser", "iam:ListUsers",
    "sagemaker:Describe*", "sagemaker:List*",
    "secretsmanager:DescribeSecret", "secretsmanager:ListSecrets",
    "sts:AssumeRole", "sts:GetCallerIdentity",
]


def iam(key, secret):
    return boto3.client("iam", endpoint_url=url, region_name="eu-west-1", aws_access_key_id=key, aws_secret_access_key=secret)


def allow(actions):
    statement = {"Effect": "Allow", "Action": actions, "Resource": "*"}
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


def user(client, name, actions):
    client.create_user(UserName=name)
    client.put_user_policy(UserName=name, PolicyName="rights", PolicyDocument=allow(actions))
    key = client.create_access_key(UserName=name)["AccessKey"]
    for what, value in (("id", key["AccessKeyId"]), ("secret", key["SecretAccessKey"])):
        with open(os.path.join(out, f"{name}.{what}"), "w", opener=lambda p, f: os.open(p, f, 0o600)) as file:
            file.write(value)
    return iam(key["AccessKeyId"], key["SecretAccessKey"])


admin = user(iam("free", "call"), "admin", ["*"])
user(admin, "reader", METADATA)
trust = {"Effect": "Allow", "Principal": {"AWS": "*"}, "Action": "sts:AssumeRole"}
role = admin.create_role(RoleName="reader", AssumeRolePolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [trust]}))
admin.put_role_policy(RoleName="reader", PolicyName="rights", PolicyDocument=allow(METADATA))
with open(os.path.join(out, "role.arn"), "w") as file:
    file.write(role["Role"]["Arn"])
