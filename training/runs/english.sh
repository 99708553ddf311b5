#!/usr/bin/env bash
# The commands of the weights in simpleocr/weights/english, on two CPU cores; training/LOG.md has their figures.
#
#   training/runs/english.sh TEXT BACKGROUNDS WORK      folders of text files, of photographs, and for all that is written
set -euo pipefail
text=${1:?usage: training/runs/english.sh TEXT BACKGROUNDS WORK} photos=$2 work=$3
cd "$(dirname "$0")/../.."
export OMP_NUM_THREADS=1 # one thread a process: two processes that average gradients outrun two threads

training/runs/fonts.sh "$work/fonts"
render() { python -m training.synth --fonts "$work/fonts" --text "$text"/books "$text"/frequency/en_50k.txt --backgrounds "$photos" "$@"; }
render --out "$work/easy" --samples 40000 --strength 0.35 --seed 7
render --out "$work/hard" --samples 400000 --seed 1
render --out "$work/kern" --samples 220000 --seed 2
render --out "$work/clean" --samples 20000 --strength 0 --seed 4 # its test split: clean lines in fonts never seen

train() { torchrun --nproc_per_node 2 -m training.train "$@"; }
train --dataset "$work/easy" --max_steps 600 --lr 1.2e-3 --out "$work/runs/easy" # past the plateau of blanks
# this one was broken off at step 4800 of 8500, near its peak rate; the next went on from its averaged weights
train --dataset "$work/hard" --max_columns 800 --init "$work/runs/easy/final" --max_steps 4800 --lr 1.3e-3 --out "$work/runs/hard"
train --dataset "$work/kern" --max_columns 1200 --init "$work/runs/hard/final" --max_steps 2500 --lr 1.0e-3 --seed 3 \
  --validation "$work/hard" --out "$work/runs/kern"
