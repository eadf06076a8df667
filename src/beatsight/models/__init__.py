"""Networks and model files: all that inference needs.

networks     the two networks by name (classifier, compact), their heads, bounds of their sizes
model        a network with features, labels, thresholds: what it says of clips
content      the dictionary that every model file holds, made and checked
checkpoint   .pth, and loading of any model file; tensor_file: .safetensors
export       ONNX
card         the model card, from card_facts
precision    device and number format

The transcriber's are apart: song_labels, song_config, song_model (its file), song_network (torch),
song_folding, song_onnx, song_torch; and what a whole song tells: song_repetition, song_ostinato and
song_presence (of its hits; song_blocks runs them), song_velocity (of their loudness).
"""
