import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlops_dagster.errors import InvalidInputError, InvalidVersionError
from mlops_dagster.registry import Stage
from mlops_dagster.registry.entities.semantic_version import final_of, next_patch, parse_version


@pytest.mark.parametrize(
    "text",
    [
        *("", "v", "1", "1.2", "1.2.3.4", "01.2.3", "1.2.x", "1.2.3-", "vv1.2.3", " 1.2.3", "1.2.3\n", "1.2.3+build"),
        *("١.٢.٣", "../1.2.3", "1." + "9" * 100 + ".0"),
    ],
)
def test_other_texts_are_no_versions(text: str) -> None:
    with pytest.raises(InvalidVersionError) as error:
        parse_version(text)
    assert error.value.code == "invalid_version"


@pytest.mark.parametrize("number", [1.2, 1, b"1.2.3", None])
def test_a_version_is_a_text(number: object) -> None:
    with pytest.raises(InvalidVersionError, match="a version is a text such as '2.4.1', and .* is a "):
        parse_version(number)  # type: ignore[arg-type]  # as people do


def test_after_a_pre_release_comes_its_release() -> None:
    assert next_patch(["3.0.4", "3.1.0-rc.1"]) == "3.1.0"
    assert next_patch(["3.1.0-rc.1", "3.1.0"]) == "3.1.1"


numbers = st.integers(min_value=0, max_value=10**6)
releases = st.builds("{}.{}.{}".format, numbers, numbers, numbers)


@given(st.lists(releases | st.builds("{}-rc.{}".format, releases, numbers), min_size=1))
def test_next_patch_is_above_all_that_is_taken(taken: list[str]) -> None:
    following = parse_version(next_patch(taken))
    assert all(parse_version(version) < following for version in taken)
    assert following.prerelease is None


@given(releases, st.sampled_from(["", "v"]), st.sampled_from(["", "-rc", "-beta.2"]))
def test_versions_are_read_as_they_are_written(release: str, lead: str, pre: str) -> None:
    assert str(parse_version(lead + release + pre)) == release + pre
    assert final_of(release + pre) == release


def test_the_first_version_is_1_0_0() -> None:
    assert next_patch([]) == "1.0.0"


def test_stages_have_one_spelling_and_many_readings() -> None:
    assert {Stage.parse(text) for text in ("PROD", "prod", "Production", "PRODUCTION")} == {Stage.PRODUCTION}
    assert [Stage.parse(stage.value) for stage in Stage] == list(Stage)
    with pytest.raises(InvalidInputError, match="no stage 'live'; stages are Registered, Shadow"):
        Stage.parse("live")
