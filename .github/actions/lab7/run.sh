#!/usr/bin/env bash
# Run experiments, write a JUnit file for each run, and a job summary with claims and ladders. The settings are variables
# INPUT_*, which action.yml sets; GITHUB_STEP_SUMMARY and GITHUB_OUTPUT are files of the runner. Exits as lab7 run does.
set -euo pipefail

lab7=${LAB7_BIN:-lab7}
results=${INPUT_RESULTS:-results}
# Results of earlier jobs in the same folder are not reported again.
marker=$(mktemp)
# The clock of a file system ticks every few milliseconds: a result may have the time of the marker.
touch -d '1 second ago' "$marker"
trap 'rm -f "$marker"' EXIT
words=(--results "$results" --seed "${INPUT_SEED:-1}")
while IFS= read -r line; do
    [[ -z ${line// /} ]] || words+=(--replace "$line")
done <<<"${INPUT_REPLACE:-}"
while IFS= read -r line; do
    [[ -z ${line// /} ]] || words+=(--set "$line")
done <<<"${INPUT_SET:-}"
[[ ${INPUT_STRICT:-false} != true ]] || words+=(--strict)
read -r -a experiments <<<"${INPUT_EXPERIMENTS//$'\n'/ }"

code=0
"$lab7" run "${words[@]}" "${experiments[@]}" || code=$?

junit=$results/junit
mkdir -p "$junit"
while IFS= read -r file; do
    run=$(dirname "$file")
    name=$(basename "$(dirname "$run")")-$(basename "$run")
    "$lab7" export "$run" junit --output "$junit/$name.xml" >/dev/null
    "$lab7" export "$run" markdown >>"${GITHUB_STEP_SUMMARY:-/dev/stdout}"
done < <(find "$results" -mindepth 3 -maxdepth 3 -name result.json -newer "$marker" | sort)
if [[ -n ${GITHUB_OUTPUT:-} ]]; then
    printf 'results=%s\njunit=%s\n' "$results" "$junit" >>"$GITHUB_OUTPUT"
fi
exit "$code"
