#!/usr/bin/env python3
"""The CloudFormation template that SAM makes of a template, on standard output, for `cfn-lint`.

    tests/template/translate.py template.yaml

What is wrong in the values only shows there: the source's own lint does not look into SAM's resources.
"""

import json
import sys

from samtranslator.parser import parser
from samtranslator.sdk.parameter import SamParameterValues
from samtranslator.translator.transform import transform
from samtranslator.yaml_helper import yaml_parse


class NoManagedPolicies:
    """The template has statements of its own."""

    def load(self):
        return {
            "AWSLambdaBasicExecutionRole": "arn:aws:iam::aws:policy/service-role/AWSLambdaBasicExecutionRole"
        }


def main() -> None:
    with open(sys.argv[1], encoding="utf-8") as file:
        template = yaml_parse(file)
    # `sam package` puts the package's place here.
    template["Resources"]["Function"]["Properties"]["CodeUri"] = "s3://bucket/package.zip"
    json.dump(transform(template, {}, NoManagedPolicies()), sys.stdout, indent=1, default=str)


if __name__ == "__main__":
    main()
