#!/usr/bin/env bash
# Installs the free Latin font families that the published weights were trained with.
#
#   training/runs/fonts.sh FONTS        (needs npm; with root and apt-get also Debian's families)
#
# Writes FONTS/npm/*.woff2 (the Latin files of each @fontsource package: regular and bold, upright and italic)
# and leaves Debian's fonts where Debian puts them, in /usr/share/fonts, where training.synth finds them.
# Every family is under the OFL, Apache, GPL with font exception, or a licence as free; see each package.
set -euo pipefail
fonts=${1:?usage: training/runs/fonts.sh FONTS}
mkdir -p "$fonts/npm"

npm_families="
abeezee abel abhaya-libre abril-fatface acme actor adamina alata albert-sans aldrich alegreya alegreya-sans aleo alex-brush
alfa-slab-one alice allan allura almarai alumni-sans amaranth amatic-sc anonymous-pro anton antonio anybody
architects-daughter archivo archivo-black archivo-narrow arimo arsenal arvo asap asap-condensed assistant
atkinson-hyperlegible audiowide average-sans azeret-mono b612 b612-mono bad-script bai-jamjuree baloo-2 balsamiq-sans
bangers barlow barlow-condensed barlow-semi-condensed basic be-vietnam-pro bebas-neue belleza berkshire-swash besley
big-shoulders-display big-shoulders-text biryani bitter black-ops-one blinker bodoni-moda bowlby-one-sc brawler
bree-serif bricolage-grotesque bubblegum-sans bungee cabin cabin-sketch cairo caladea calistoga cantarell caprasimo cardo
carlito carter-one cascadia-code catamaran caveat caveat-brush cedarville-cursive chakra-petch changa changa-one chewy
chivo cinzel cinzel-decorative coiny comfortaa comic-mono comic-neue comic-relief commissioner cookie cooper-hewitt
cormorant cormorant-garamond cormorant-infant courgette courier-prime cousine covered-by-your-grace creepster crimson-pro
crimson-text damion dancing-script darker-grotesque days-one delius didact-gothic dm-mono dm-sans dm-serif-display
dm-serif-text domine dosis eb-garamond encode-sans encode-sans-condensed encode-sans-semi-expanded epilogue esteban exo
exo-2 fahkwang farsan faustina figtree fira-code fira-mono fira-sans fira-sans-condensed fira-sans-extra-condensed
fjalla-one frank-ruhl-libre fraunces fredericka-the-great fredoka freehand gabarito geist gelasio gentium-book-plus
germania-one gloock gloria-hallelujah gochi-hand goldman graduate grand-hotel grandstander great-vibes halant handlee
hanken-grotesk happy-monkey headland-one hepta-slab hind homemade-apple ibm-plex-mono ibm-plex-sans
ibm-plex-sans-condensed ibm-plex-serif iceberg iceland im-fell-english inconsolata indie-flower inika inknut-antiqua
instrument-sans instrument-serif inter inter-tight italiana itim jetbrains-mono jockey-one josefin-sans jost jura kalam
kanit karla karma kaushan-script khand krona-one kumbh-sans lato league-gothic league-spartan lekton lemonada lexend
libre-baskerville libre-caslon-text libre-franklin lilita-one literata lobster lobster-two londrina-solid lora
luckiest-guy lustria manrope mansalva marcellus marck-script martel maven-pro medievalsharp merriweather
merriweather-sans metropolis michroma modak monda montserrat montserrat-alternates mouse-memoirs mukta muli mulish
neucha newsreader norwester noto-sans noto-sans-display noto-sans-mono noto-serif noto-serif-display nova-square nunito
nunito-sans old-standard-tt open-sans opendyslexic orbitron orienta oswald outfit overpass overpass-mono ovo oxanium
oxygen pacifico parisienne passion-one pathway-extreme patrick-hand patua-one paytone-one permanent-marker petrona
philosopher piazzolla play playfair-display plus-jakarta-sans poiret-one poly poppins prata press-start-2p prompt pt-mono
pt-sans pt-sans-caption pt-sans-narrow pt-serif pt-serif-caption public-sans quantico quattrocento questrial quicksand
rajdhani raleway rammetto-one rasa red-hat-display red-hat-text reenie-beanie righteous roboto roboto-condensed
roboto-mono roboto-serif roboto-slab rochester rock-salt rokkitt rowdies rubik rubik-mono-one rufina russo-one sacramento
saira saira-condensed saira-extra-condensed saira-semi-condensed sanchez sansita sarabun satisfy schoolbell
science-gothic sen shadows-into-light share-tech share-tech-mono short-stack shrikhand sigmar-one signika slabo-13px
slabo-27px smooch sniglet sofia-sans sora sorts-mill-goudy source-code-pro source-sans-3 source-serif-4 space-grotesk
space-mono special-elite spectral spicy-rice spline-sans staatliches stix-two-text suez-one sunflower
swanky-and-moo-moo syne tajawal tangerine taviraj teko tenor-sans the-girl-next-door tinos titan-one titillium-web
tomorrow ubuntu ubuntu-condensed ubuntu-mono unbounded uncial-antiqua unna urbanist varela varela-round vibur
victor-mono volkhov vollkorn vt323 whisper work-sans yanone-kaffeesatz yantramanav yellowtail yeseva-one yrsa zen-dots
zilla-slab"

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

if command -v apt-get >/dev/null && [ "$(id -u)" = 0 ]; then
  apt-get update -q >/dev/null
  # shellcheck disable=SC2086
  DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends $debian_packages >/dev/null
else
  echo "not root, or no apt-get: Debian's families are left out" >&2
fi
echo "$(find "$fonts/npm" -name '*.woff2' | wc -l) files in $fonts/npm, $(find /usr/share/fonts -type f 2>/dev/null | wc -l) in /usr/share/fonts"
