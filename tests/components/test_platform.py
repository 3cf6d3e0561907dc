"""Artifacts on S3, reached through the resource that Dagster gives."""

from pathlib import Path

import dagster as dg
import pytest
from dagster_aws.s3 import S3Resource

from mlops_dagster.components import Platform
from tests.support import weed


def test_s3_is_reached_through_the_resource_of_dagster(
    s3: str, s3_server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    known = weed.environment(s3_server)
    for variable in known:
        monkeypatch.delenv(variable)  # so that boto3 finds nothing by itself
    monkeypatch.setenv("MLOPS_STORAGE_URL", f"s3://{s3}/models")
    monkeypatch.setenv("MLOPS_HOME", str(tmp_path / "home"))
    resource = S3Resource(
        endpoint_url=s3_server,
        region_name="us-east-1",
        aws_access_key_id=known["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=known["AWS_SECRET_ACCESS_KEY"],
    )
    (tmp_path / "model.onnx").write_text("weights")

    @dg.asset
    def registered(platform: Platform) -> str:
        return platform.stores().registry.register("flights", tmp_path / "model.onnx").digest

    with dg.DagsterInstance.local_temp(str(tmp_path)) as instance:
        found = dg.materialize([registered], instance=instance, resources={"platform": Platform(s3=resource)})
    digest = found.output_for_node("registered")
    key = f"models/sha256/{digest[:2]}/{digest[2:4]}/{digest}"
    assert weed.client(s3_server).get_object(Bucket=s3, Key=key)["Body"].read() == b"weights"
