#!/usr/bin/env bash
# Run experiments, write a JUnit file for each run, and a job summary with claims and ladders. The settings are variables
# INPUT_*, which action.yml sets; GITHUB_STEP_SUMMARY and GITHUB_OUTPUT are files of the runner. Exits as lab7 run does.
set -euo pipefail

: "${INPUT_EXPERIMENTS:=}" "${INPUT_REPLACE:=}" "${INPUT_SET:=}"
lab7=${LAB7_BIN:-lab7}
# A runner does not check that a required input is there, and without names lab7 runs every experiment for minutes.
if [[ -z ${INPUT_EXPERIMENTS//[[:space:]]/} ]]; then
    echo "lab7: the input experiments is empty: name experiments (lab7 list) or files, or give it the word all" >&2
    exit 2
fi
results=${INPUT_RESULTS:-results}
# Results of earlier jobs in the same folder are not reported again.
marker=$(mktemp)
# The clock of a file system ticks every few milliseconds: a result may have the time of the marker.
touch -d '1 second ago' "$marker"
trap 'rm -f "$marker"' EXIT
words=(--results "$results" --seed "${INPUT_SEED:-1}")
# Blanks around a line, and the CR of a file written on Windows, are not part of it.
while read -r line; do
    [[ -z $line ]] || words+=(--replace "$line")
done <<<"${INPUT_REPLACE//$'\r'/}"
while read -r line; do
    [[ -z $line ]] || words+=(--set "$line")
done <<<"${INPUT_SET//$'\r'/}"
[[ ${INPUT_STRICT:-false} != true ]] || words+=(--strict)
read -r -a experiments <<<"${INPUT_EXPERIMENTS//[[:space:]]/ }"
[[ ${experiments[*]} != all ]] || experiments=()

code=0
"$lab7" run "${words[@]}" "${experiments[@]}" || code=$?

junit=$results/junit
summary=${GITHUB_STEP_SUMMARY:-/dev/stdout}
runs=0
mkdir -p "$junit"
while IFS= read -r file; do
    run=$(dirname "$file")
    name=$(basename "$(dirname "$run")")-$(basename "$run")
    # A report that cannot be written does not hide how the run ended.
    "$lab7" export "$run" junit --output "$junit/$name.xml" >/dev/null || echo "lab7: no JUnit file of $run" >&2
    "$lab7" export "$run" markdown >>"$summary" || echo "lab7: no summary of $run" >&2
    runs=$((runs + 1))
done < <(find "$results" -mindepth 3 -maxdepth 3 -name result.json -newer "$marker" | sort)
[[ $runs -gt 0 ]] ||
    printf '## lab7\n\nNo experiment came to a result: lab7 run ended with exit code %s, see its output.\n' "$code" >>"$summary"
if [[ -n ${GITHUB_OUTPUT:-} ]]; then
    printf 'results=%s\njunit=%s\n' "$results" "$junit" >>"$GITHUB_OUTPUT"
fi
exit "$code"
