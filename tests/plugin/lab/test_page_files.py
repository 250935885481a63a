"""The page's files: all are there, none has anything inline, and the policy forbids everything else."""

import re

import pytest
from werkzeug.test import Client, TestResponse

from plugin.lab.page_files import PAGE, POLICY, read_page_files
from plugin.proxy import Proxy
from plugin.upstream.client import Upstream
from tests.support.api_client import NO_OPENSEARCH, model

LAB = "/_plugins/_rerank/"
FILES = read_page_files()


def get(path: str, **headers: str) -> TestResponse:
    upstream = Upstream(NO_OPENSEARCH)
    return Client(Proxy(upstream, model())).get(path, headers=headers)


def test_the_page_is_served_though_opensearch_is_away() -> None:
    answer = get(LAB)
    assert (answer.status_code, answer.content_type) == (200, "text/html; charset=utf-8")
    assert "<title>Twinrank lab</title>" in answer.text
    assert answer.headers["Content-Security-Policy"] == POLICY


@pytest.mark.parametrize("name", FILES)
def test_every_file_is_served_with_its_type_and_the_policy(name: str) -> None:
    answer = get(f"{LAB}lab/{name}")
    assert (answer.status_code, answer.content_type) == (200, FILES[name].content_type)
    assert answer.data == FILES[name].content
    assert answer.headers["Content-Security-Policy"] == POLICY
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    again = get(f"{LAB}lab/{name}", **{"If-None-Match": answer.headers["ETag"]})
    assert (again.status_code, again.data) == (304, b"")


def test_the_policy_allows_no_inline_code_and_no_other_address() -> None:
    assert POLICY.startswith("default-src 'none'; ")
    assert "unsafe" not in POLICY
    assert "http" not in POLICY
    assert "require-trusted-types-for 'script'" in POLICY
    assert "frame-ancestors 'none'" in POLICY


def test_nothing_is_inline_and_nothing_comes_from_elsewhere() -> None:
    page = FILES[PAGE].content.decode()
    assert not re.search(r"<script(?![^>]* src=)|<style|\sstyle=|\son\w+=", page)
    for name, file in FILES.items():
        addresses = set(re.findall(r"https?://[^\s\"'`)]+", file.content.decode()))
        assert addresses <= {"http://www.w3.org/2000/svg"}, name


def test_every_file_that_one_names_is_there() -> None:
    page = FILES[PAGE].content.decode()
    named = set(re.findall(r'"lab/([\w.]+)"', page))
    for name in FILES:
        if name.endswith(".js"):
            named |= set(re.findall(r'from "\./([\w.]+)"', FILES[name].content.decode()))
    assert {"lab.css", "lab.js", "judgements.js"} <= named <= FILES.keys()


def test_no_script_writes_markup() -> None:
    for name, file in FILES.items():
        if name.endswith(".js"):
            words = re.findall(
                r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(", file.content.decode()
            )
            assert words == [], name


@pytest.mark.parametrize("name", ["nothing.js", "__init__.py", "..%2fviews.py", "%2e%2e"])
def test_any_other_name_is_a_404(name: str) -> None:
    assert get(f"{LAB}lab/{name}").status_code == 404


@pytest.mark.parametrize(
    ("asked", "location"),
    [("", "./"), ("?index=a&text=b%20c%26d", "./?index=a&text=b%20c%26d")],
)
def test_the_former_address_leads_to_it(asked: str, location: str) -> None:
    answer = get(f"{LAB}compare{asked}")
    assert (answer.status_code, answer.headers["Location"]) == (302, location)
