#!/usr/bin/env bash
# What each effect of the renderer is worth: the same short training without it, measured on real pictures. training/LOG.md has the figures.
#
#   training/runs/effects.sh FONTS TEXT BACKGROUNDS WORK DATASET...    folders of fonts, texts, photographs, of what is written; sets to measure on
#
# EFFECTS="width print" measures these alone.
# All start from weights that have seen clean print alone, and see as many lines at the same rates; "all" twice, for how far chance goes.
set -euo pipefail
fonts=$1 text=$2 photos=$3 work=$4
shift 4
cd "$(dirname "$0")/../.."
export OMP_NUM_THREADS=1 # one thread a process: two processes that average gradients outrun two threads
words=("$text"/books "$text"/frequency/en_50k.txt)
render() { python -m training.synth --text "${words[@]}" --backgrounds "$photos" "$@"; }
train() { torchrun --nproc_per_node 2 -m training.train --max_columns 320 --eval_samples 200 "$@"; }

[ -d "$work/clean" ] || render --fonts "$fonts" --out "$work/clean" --samples 20000 --strength 0 --seed 5
[ -f "$work/start/final/model.safetensors" ] || train --dataset "$work/clean" --max_steps 900 --lr 1.2e-3 --out "$work/start"

measured() { # NAME RENDER-ARGUMENTS...: its figures to WORK/NAME.txt
  local name=$1
  shift
  [ ! -f "$work/$name.txt" ] || return 0
  render --out "$work/corpus_$name" --samples 36000 "$@"
  train --dataset "$work/corpus_$name" --init "$work/start/final" --max_steps 500 --lr 1.2e-3 --out "$work/$name"
  python -m training.evaluate --model "$work/$name/final" --dataset "${sets[@]}" --limit 2300 --no_retry --out "$work/$name" >"$work/$name.part"
  mv "$work/$name.part" "$work/$name.txt"
  rm -r "$work/corpus_$name"
}

sets=("$@")
measured all --fonts "$fonts" --seed 91
every="slant looseness sensor style background contrast polarity width lettering crossed neighbours print show_through stamp"
for effect in ${EFFECTS:-$every}; do
  measured "$effect" --fonts "$fonts" --seed 91 --without "$effect"
done
measured families --seed 91 # only the fonts of the system
measured again --fonts "$fonts" --seed 92
