#!/usr/bin/env bash
# Installs the free Latin font families that the published weights were trained with.
#
#   training/runs/fonts.sh FONTS        (needs npm; with root and apt-get also Debian's families)
#
# Writes FONTS/npm/*.woff2 (the Latin files of each @fontsource package: regular and bold, upright and italic)
# and FONTS/npm/categories.tsv, which tells print from handwriting,
# and leaves Debian's fonts where Debian puts them, in /usr/share/fonts, where training.synth finds them.
# Every family is under the OFL, Apache, GPL with font exception, or a licence as free; see each package.
set -euo pipefail
fonts=${1:?usage: training/runs/fonts.sh FONTS}
mkdir -p "$fonts/npm"

npm_families=$(cat "$(dirname "$0")/families.txt") # names of @fontsource packages

debian_packages="
fonts-3270 fonts-adf-accanthis fonts-adf-baskervald fonts-adf-berenis fonts-adf-gillius fonts-adf-ikarius fonts-adf-irianis
fonts-adf-libris fonts-adf-mekanus fonts-adf-romande fonts-adf-solothurn fonts-adf-switzera fonts-adf-tribun
fonts-adf-universalis fonts-adf-verana fonts-allerta fonts-arapey fonts-averia-gwf fonts-averia-sans-gwf
fonts-averia-serif-gwf fonts-b612 fonts-bajaderka fonts-beteckna fonts-blankenburg fonts-breip fonts-century-catalogue
fonts-clear-sans fonts-cmu fonts-courier-prime fonts-croscore fonts-crosextra-caladea fonts-crosextra-carlito
fonts-dejavu-core fonts-dejavu-extra fonts-dkg-handwriting fonts-dustin fonts-ecolier-court fonts-elstob fonts-essays1743
fonts-eurofurence fonts-fantasque-sans fonts-fanwood fonts-femkeklaver fonts-freefont-ttf fonts-georgewilliams
fonts-gfs-artemisia fonts-gfs-bodoni-classic fonts-gfs-didot fonts-gfs-neohellenic fonts-gnutypewriter fonts-go
fonts-goudybookletter fonts-hack-ttf fonts-havana fonts-humor-sans fonts-isabella fonts-johnsmith-induni fonts-junction
fonts-junicode fonts-karmilla fonts-kristi fonts-league-mono fonts-levien-museum fonts-levien-typoscript fonts-liberation
fonts-lindenhill fonts-linex fonts-linuxlibertine fonts-lmodern fonts-monofur fonts-monoid fonts-mononoki
fonts-national-park fonts-ocr-a fonts-ocr-b fonts-oldstandard fonts-opendin fonts-osifont fonts-paratype fonts-prociono
fonts-radisnoir fonts-roadgeek fonts-routed-gothic fonts-rufscript fonts-sil-andika fonts-sil-charis fonts-sil-doulos
fonts-sil-gentium fonts-sjfonts fonts-staypuft fonts-texgyre fonts-tiresias fonts-tomsontalks fonts-tuffy
fonts-ubuntu-title fonts-urw-base35 fonts-yozvox-yozfont-standard-kana"

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
specs=()
for family in $npm_families; do specs+=("@fontsource/$family"); done
npm install --prefix "$work" --no-save --no-audit --no-fund --ignore-scripts --loglevel=error "${specs[@]}"
for style in 400-normal 700-normal 400-italic 900-normal; do
  find "$work/node_modules/@fontsource" -name "*-latin-$style.woff2" -exec cp -n {} "$fonts/npm/" \;
done
# serif, sans-serif, display, monospace or handwriting, for training.faces; old packages call the id fontId, two have no category
node -e 'for (const file of process.argv.slice(1)) { const f = require(file); console.log(`${f.id ?? f.fontId}\t${f.category ?? "other"}`) }' \
  "$work"/node_modules/@fontsource/*/metadata.json >"$fonts/npm/categories.tsv"

if command -v apt-get >/dev/null && [ "$(id -u)" = 0 ]; then
  apt-get update -q >/dev/null
  # shellcheck disable=SC2086
  DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends $debian_packages >/dev/null
else
  echo "not root, or no apt-get: Debian's families are left out" >&2
fi
echo "$(find "$fonts/npm" -name '*.woff2' | wc -l) files in $fonts/npm, $(find /usr/share/fonts -type f 2>/dev/null | wc -l) in /usr/share/fonts"
