"""What a catalogue may teach: its own pairs, less whatever a held-out query asks."""

import pandas as pd

from perennial.data.documents import catalogue_pairs
from perennial.data.split import is_held_out


def teachable_pairs(
    catalogue: pd.DataFrame, *, held_out_share: float, salt: str
) -> tuple[list[str], list[str]]:
    """(sentences, the rest of their pages), without the sentences on the held-out side.

    People describe a page in its own first sentence's words: about one held-out query in five
    stands in the catalogue as such a sentence, and would be taught together with its answer. The
    whole side is left out, so that a query which is asked for the first time tomorrow is new too.
    """
    sentences, rests = catalogue_pairs(catalogue["title"].tolist(), catalogue["text"].tolist())
    held = is_held_out(sentences, share=held_out_share, salt=salt)
    kept = [number for number, out in enumerate(held) if not out]
    return [sentences[number] for number in kept], [rests[number] for number in kept]
