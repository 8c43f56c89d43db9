#!/usr/bin/env python3
"""Takes out of an installed tree what the image never reads; the Dockerfile's build stage runs it.

    slim.py SITE_PACKAGES

botocore brings the models of some 400 services and Pullpass calls a few. What is not in a folder of `data` (endpoints,
partitions, retries, defaults) serves every client and stays. tests/unit/test_image.py holds that their clients are
still made of what is left, and so does the build itself.
"""

import shutil
import sys
from pathlib import Path

# The hub and the agent call the first five; the rest are for `pullpass aws`, run from the image.
SERVICES = ("ecr", "ecr-public", "eks", "iam", "sts", "autoscaling", "ec2", "service-quotas")


def slim(site_packages: Path) -> None:
    """Removes the models of all other services, and the test suites and examples that packages install."""
    for folder in (site_packages / "botocore" / "data").iterdir():
        if folder.is_dir() and folder.name not in SERVICES:
            shutil.rmtree(folder)
    unread = [site_packages / name for name in ("boto3/data", "boto3/examples", "kubernetes/e2e_test")]
    for folder in [*unread, *site_packages.glob("*/tests"), *site_packages.glob("*/test")]:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    slim(Path(sys.argv[1]))
