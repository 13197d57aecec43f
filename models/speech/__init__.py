"""The front end of speech: from a text and a voice to features that are aligned with a sound.

    text ──spelling──▶ characters ──acoustics──▶ durations ──┐
                            │                                ▼
                            └──────────acoustics──▶ spectrum, pitch: a column for every hop

    recording ──frames──▶ spectrum, pitch ──aligner──▶ durations of its text's characters

What it learns, it learns from recordings and their texts alone, before the network that hears it.
"""
