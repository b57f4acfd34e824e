"""Expressions over JSON trees: what they answer, what Kubernetes adds to the language, how errors are worded."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest

from minikube.schema.cel import CelError, compile

SELF = {"replicas": 3, "name": "web", "ports": [80, 443], "labels": {"app": "web"}, "ratio": 0.5, "empty": []}


def said(text: str, self: Any = SELF) -> Any:
    return compile(text, ("self",)).evaluate({"self": self})


@pytest.mark.parametrize(
    "text",
    [
        "self.replicas > 1 && self.name.startsWith('w')",
        "has(self.labels.app) && !has(self.labels.tier)",
        "self.ports.all(p, p < 1024) && self.ports.exists(p, p == 443)",
        "self.?labels.?tier.orValue('none') == 'none'",
        "'%s-%d'.format([self.name, self.replicas]) == 'web-3'",
        "'a,b'.split(',').size() == 2 && ['a', 'b'].join('-') == 'a-b'",
        "self.ratio < 1 && math.greatest(1, 2) == 2",
        "cel.bind(n, self.replicas, n + 1) == 4",
        "duration('1h') > duration('59m')",
        "quantity('1Gi').isGreaterThan(quantity('900Mi')) && quantity('0.5') == quantity('500m')",
        "quantity('1').add(quantity('500m')).compareTo(quantity('1500m')) == 0",
        "quantity('3').sub(1).asInteger() == 2 && !quantity('0.5').isInteger()",
        "isQuantity('12Ki') && !isQuantity('12 Ki')",
        "self.ports.sum() == 523 && self.ports.min() == 80 && self.ports.max() == 443",
        "self.ports.isSorted() && ![2, 1].isSorted()",
        "'abc 123 45'.find('[0-9]+') == '123' && 'abc 123 45'.findAll('[0-9]+', 1) == ['123']",
        "url('https://me@example.com:8443/a?b=c').getHost() == 'example.com:8443'",
        "url('https://example.com:8443/a?b=c').getQuery()['b'] == ['c'] && !isURL('nothing')",
        "ip('10.0.0.1').family() == 4 && ip('::1').isLoopback() && !isIP('10.0.0')",
        "cidr('10.0.0.0/8').containsIP('10.1.2.3') && !cidr('10.0.0.0/8').containsCIDR('0.0.0.0/0')",
        "cidr('10.1.2.3/8').masked() == cidr('10.0.0.0/8') && !isCIDR('10.0.0.0')",
        "cidr('10.1.2.3/8').ip() == ip('10.1.2.3')",
        "semver('1.10.0').isGreaterThan(semver('1.9.9')) && semver('1.2.3').minor() == 2",
        "semver('1.0.0-rc.2').isLessThan(semver('1.0.0'))",
        "semver('1.0.0-rc.10').isGreaterThan(semver('1.0.0-rc.2'))",
        "isSemver('1.2.3') && !isSemver('v1.2') && isSemver('v1.2', true)",
        "semver('v01.2', true) == semver('1.2.0')",
        "sets.contains([1, 2, 3], [2]) && sets.intersects([1], [1, 2]) && !sets.equivalent([1], [2])",
        "1.0 < 2 && 2u >= 1 && 1 <= 1.5 && 'a' < 'b' && self.ratio < self.replicas",
        "!format.dns1123Label().validate(self.name).hasValue()",
        "format.dns1123Label().validate('A)_').value().size() == 1",
        "format.named('dns1123LabelPrefix').value().validate('a-').orValue([')']) == [')']",
        "!format.named('nothing').hasValue() && format.uri().validate('x').hasValue()",
        "format.date().validate('2021-01-32') == optional.of(['invalid date'])",
        "[1, 2, 1].indexOf(1) == 0 && [1, 2, 1].lastIndexOf(1) == 2 && [true].indexOf(1) == -1",
        "'abcb'.indexOf('b') == 1 && 'abcb'.lastIndexOf('b') == 3",
        "self.labels.all(name, value, name == 'app' && value == 'web')",
        "self.ports.exists(index, port, index == 1 && port == 443)",
        "self.ports.transformList(index, port, port > 80, index) == [1]",
        "self.labels.transformMap(name, value, value + '!') == {'app': 'web!'}",
        "self.ports.transformMapEntry(index, port, {string(port): index}) == {'80': 0, '443': 1}",
        "string(ip('10.0.0.1')) == '10.0.0.1' && string(cidr('10.0.0.0/8')) == '10.0.0.0/8' && string(1) == '1'",
        "ip('224.0.0.1').isLinkLocalMulticast() && !isIP('::ffff:1.2.3.4')",
        "image('nginx').registry() == 'index.docker.io' && image('nginx').identifier() == 'latest'",
        "image('a.example/b/c:1').repository() == 'b/c' && !isImage('a.example//b')",
        "'Straße' .find(r'(?i)STRASSE|\\p{Lu}\\p{L}+') == 'Straße'",
    ],
)
def test_true(text: str) -> None:
    assert said(text) is True


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("self.missing > 1", "no such key: missing"),
        ("self.name > 1", "no such overload"),
        ("self.ports[7] == 1", "index out of bounds: 7"),
        ("self.replicas / 0 == 1", "division by zero"),
        ("self.empty.min() == 1", "min called on empty list"),
        ("quantity(self.name).isInteger()", "quantities must match the regular expression"),
        ("semver('1.2')", "semver parse error: 1.2"),
        ("semver('1.2.3').compareTo(quantity('1')) == 0", "no such overload"),
        ("ip('10.0.0.1').isInteger()", "no such overload"),
        ("self.ports.transformMapEntry(index, port, {'a': 1}) == {}", "insert failed: key a already exists"),
        ("self.name.find('[') == ''", r"error parsing regexp: missing closing \]: `\[`"),
        ("[1, 'a'].max() == 1", "no such overload"),
    ],
)
def test_evaluation_fails(text: str, why: str) -> None:
    with pytest.raises(CelError, match=why):
        said(text)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("other == 1", r"\AERROR: <input>:1:1: undeclared reference to 'other'"),
        ("self ==", r"\AERROR: <input>:1:8: Syntax error"),
        ("'a' > 1", "found no matching overload for '_>_' applied to"),
    ],
)
def test_does_not_compile(text: str, why: str) -> None:
    with pytest.raises(CelError, match=why) as caught:
        compile(text, ("self",))
    assert "INVALID_ARGUMENT" not in str(caught.value)


def test_static_type() -> None:
    assert compile("self.a == 1", ("self",)).type == "bool"
    assert compile("self.a", ("self",)).may_be("bool")
    assert not compile("'text'", ("self",)).may_be("bool")


def test_compiled_once() -> None:
    assert compile("self.a + 1", ("self",)) is compile("self.a + 1", ("self",))


def test_evaluator_loaded_with_the_first_expression() -> None:
    code = (
        "import sys, minikube.server, minikube.schema.cel as c; assert 'cel_expr_python' not in sys.modules;"
        "c.compile('1 == 1', ()); assert 'cel_expr_python' in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
