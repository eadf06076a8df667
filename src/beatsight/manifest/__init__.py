"""Tables of labelled events, of any size; each operation is also a ``beatsight manifest`` command.

    validate.validate            every fault by file, line and field
    convert.convert              JSON lines to Parquet and back
    merge.merge                  several manifests as one, each sample_id once
    diff.diff_manifests          sessions, labels and techniques of two manifests
    stats.manifest_stats         what a manifest holds
    techniques.annotate_techniques   techniques that the events show
    openness.apply_openness      hi-hat openness from pedal values
    weights.sampling_weights     how often training draws from each group
    splitting.split.split_manifest   sessions into train, val and test
    sounds.near_duplicates       one sound, or one performance, twice
    sounds.verify                is the audio there, and as long as the rows say
    negatives.hard_negatives     a model's confident false positives
    boundary.boundary_pack       hits at the edges of streaming windows

They stand on ``engine``: ``blocks`` (a file cut into pieces), ``pool`` (processes that work on them),
``table`` (columns in DuckDB) and ``rewrite`` (rows written anew, aside and renamed). ``splitting`` and
``likeness`` hold what needs several files: groups of sessions, and fingerprints of sound.
"""
