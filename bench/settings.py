"""The product's settings with the bench's service instead of the product's; the database comes from the environment."""

import os

from config import settings as _product

globals().update({name: getattr(_product, name) for name in dir(_product) if name.isupper()})

JOB_SERVICES = ["bench.service.BenchService"]
JOB_CONTEXT_FACTORY = "bench.service.build_context"
JOB_PACKAGE_SIZE = int(os.environ.get("JOB_PACKAGE_SIZE", "20"))
