#!/usr/bin/env bash
# The commands of the weights in simpleocr/weights/lines, on two CPU cores; training/LOG.md has their figures.
#
#   training/runs/lines.sh TEXT BACKGROUNDS WORK      as for english.sh, whose fonts it takes from WORK/fonts
set -euo pipefail
text=${1:?usage: training/runs/lines.sh TEXT BACKGROUNDS WORK} photos=$2 work=$3
cd "$(dirname "$0")/../.."
export OMP_NUM_THREADS=1
# `pages` came from a state of the layouts in which any page could have any font
python -m training.pages --fonts "$work/fonts" --text "$text"/books "$text"/frequency/en_50k.txt --backgrounds "$photos" \
  --out "$work/pages" --samples 1600 --seed 1
torchrun --nproc_per_node 2 -m training.train_detector --dataset "$work/pages" --backgrounds "$photos" --crop 384 \
  --batch_size 6 --max_steps 2600 --lr 2e-3 --eval_every 200 --eval_samples 32 --out "$work/runs/lines1"
# of `pages2` 768 pages were there when this was begun, and validation was on 64 pages of another seed
python -m training.pages --fonts "$work/fonts" --text "$text"/books "$text"/frequency/en_50k.txt --backgrounds "$photos" \
  --out "$work/pages2" --samples 1200 --seed 3
torchrun --nproc_per_node 2 -m training.train_detector --dataset "$work/pages" "$work/pages2" --backgrounds "$photos" \
  --init "$work/runs/lines1/final" --crop 384 --batch_size 6 --max_steps 900 --lr 1.2e-3 --seed 2 --eval_every 300 \
  --eval_samples 32 --out "$work/runs/lines"
# Not in these weights yet: pages of free PDFs.
# Free documentation of Debian 12, of which the refcard is taken in one size of paper and R's reference once:
# apt-get install maint-guide developers-reference gnuplot-doc r-doc-pdf octave-doc asymptote-doc libtasn1-doc \
#   fonts-sil-charis
doc=/usr/share/doc
python -m training.pdf_pages --pdf $doc/maint-guide $doc/gnuplot $doc/asymptote $doc/libtasn1-doc $doc/fonts-sil-charis \
  /usr/share/developers-reference $doc/octave/{octave,liboctave,refcard-letter}.pdf \
  /usr/share/R/doc/manual/{R-FAQ,R-admin,R-data,R-exts,R-intro,R-ints,R-lang,fullrefman}.pdf \
  --out "$work/pdf_pages" --samples 500 --seed 1
# cores of single characters as long as they are high, and counted three times, nine in Dice as the loss was then
for seed in 71 101; do
  python -m training.pages --fonts "$work/fonts" --text "$text"/books "$text"/frequency/en_50k.txt --backgrounds "$photos" \
    --out "$work/pages$seed" --samples $((seed == 71 ? 400 : 700)) --seed "$seed"
done
torchrun --nproc_per_node 2 -m training.train_detector --dataset "$work/pages101" "$work/pages71" --backgrounds "$photos" \
  --init "$work/runs/lines/final" --crop 384 --batch_size 6 --max_steps 1000 --lr 0.9e-3 --seed 5 --eval_every 250 \
  --eval_samples 32 --out "$work/runs/lines5"
python -m training.ranges --model "$work/runs/lines5/final" --dataset "$work/pages71" --limit 16 --out "$work/runs/lines_whole"
# without every sixth photograph (WORK/photos_seen, which english.sh fills); in WORK/no_text lie those of the rest in which
# nobody sees text. pages161 was rendered before the kinds "tags" and "grid" were there; of pages172, all pages were of these
for seed in 161 171 172; do
  python -m training.pages --fonts "$work/fonts" --text "$text"/books "$text"/frequency/en_50k.txt --backgrounds "$work/photos_seen" \
    --out "$work/pages$seed" --samples $((seed == 161 ? 400 : seed == 171 ? 200 : 120)) --seed "$seed"
done
torchrun --nproc_per_node 2 -m training.train_detector --dataset "$work/pages161" "$work/pages171" "$work/pages172" \
  --backgrounds "$work/photos_seen" --without_text "$work/no_text" --init "$work/runs/lines_whole" --crop 384 --batch_size 6 \
  --max_steps 800 --lr 6e-4 --seed 6 --eval_every 200 --eval_samples 32 --out "$work/runs/lines163"
python -m training.ranges --model "$work/runs/lines163/final" --dataset "$work/pages161" --limit 16 --out "$work/runs/lines_shipped" # what is shipped
