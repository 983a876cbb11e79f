#!/usr/bin/env bash
# Build the wheel, test it in an empty environment outside of the checkout, and tag the commit with the version.
#   scripts/release.sh           all of that
#   scripts/release.sh --no-tag  without the tag
set -euo pipefail
cd "$(dirname "$0")/.."

say() { printf 'release: %s\n' "$1" >&2; }
fail() { say "$1"; exit 1; }

PYTHON="${LAB7_VENV:-.venv}/bin/python"
VERSION=$("$PYTHON" -c 'import tomllib; print(tomllib.load(open("pyproject.toml", "rb"))["project"]["version"])')
TAG=v$VERSION
WITH_TAG=yes
case "${1:-}" in
    "") ;;
    --no-tag) WITH_TAG=no ;;
    *) fail "unknown option $1: --no-tag is the only one" ;;
esac

grep -q "^## $VERSION " CHANGELOG.md || fail "CHANGELOG.md has no section '## $VERSION (date)'"
if [ "$WITH_TAG" = yes ]; then
    [ -z "$(git status --porcelain)" ] || fail "the working tree has changes: commit them first"
    ! git rev-parse -q --verify "refs/tags/$TAG" > /dev/null || fail "the tag $TAG exists: raise the version in pyproject.toml"
fi

rm -rf build dist
"$PYTHON" -m lab7.experiments.harness.catalogue.listing
"$PYTHON" -m pip wheel --quiet --no-deps --wheel-dir dist .
WHEEL=$(echo dist/lab7-"$VERSION"-*.whl)
[ -f "$WHEEL" ] || fail "no wheel of version $VERSION was built in dist"

# Outside of the checkout, so that nothing of it can be imported.
AWAY=$(mktemp -d)
trap 'rm -rf "$AWAY"' EXIT
python3 -m venv "$AWAY/venv"
"$AWAY/venv/bin/pip" install --quiet "$WHEEL" pytest
names=$("$PYTHON" -m zipfile --list "$WHEEL" | awk 'NR > 1 { sub("/.*", "", $1); print $1 }' | sort -u | tr '\n' ' ')
[ "$names" = "lab7 lab7-$VERSION.dist-info " ] || fail "the wheel has other names than lab7 at its top level: $names"
# A project with packages of the same names, which must stay its own.
mkdir "$AWAY"/{services,experiments,topologies}
for package in services experiments topologies; do
    printf 'OWN = True\n' >"$AWAY/$package/__init__.py"
done
cat >"$AWAY/test_own.py" <<'END'
import experiments
import pytest
import services
import topologies


@pytest.mark.lab7(topology="web", delay="5ms")
def test_the_page_is_there(testbed, judge):
    assert services.OWN and experiments.OWN and topologies.OWN
    assert testbed.host("client").run(["curl", "-sf", "http://www.example.com/"]).returncode == 0
    judge("H2")
END
(
    cd "$AWAY"
    [[ "$(venv/bin/lab7 --version)" == *" $VERSION" ]] || fail "the installed lab7 has another version"
    venv/bin/lab7 list >/dev/null || fail "the installed lab7 lists nothing"
    # Without a cache the listing is that of the wheel: no experiment is imported.
    HOME=/dev/null XDG_CACHE_HOME=/dev/null venv/bin/python -X importtime venv/bin/lab7 list 2>&1 >/dev/null |
        grep -q "harness.discovery" && fail "the listing in the wheel is not used"
    venv/bin/lab7 doctor >/dev/null || fail "the installed lab7 finds that it cannot run here"
    venv/bin/lab7 doctor --fix --json >/dev/null || fail "the installed lab7 has no list of system packages"
    venv/bin/python -m pytest -q -p no:cacheprovider test_own.py || fail "the installed pytest plugin does not work"
    venv/bin/lab7 run http-versions --time real --repeat 1
    [ -n "$(find results/http-versions -name report.html)" ] || fail "the installed lab7 wrote no report"
)
say "$WHEEL works outside of the checkout"

if [ "$WITH_TAG" = yes ]; then
    git tag -a "$TAG" -m "lab7 $VERSION"
    say "tagged $TAG; git push --tags publishes it"
fi
