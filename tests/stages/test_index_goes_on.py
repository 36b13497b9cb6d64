"""The stage index goes on where it was killed: what is kept is not embedded again."""

import numpy as np
import pandas as pd
from small import write_params
from tiny_release import write_folders

from perennial.data.documents import indexed_texts
from perennial.index.index import Index
from perennial.model.digest import text_digest
from perennial.model.encoder import load_encoder
from perennial.model.vectors import VectorCache
from perennial.stages.index import index_catalogue


def test_a_vector_that_is_kept_is_taken_and_the_others_are_embedded(tmp_path):
    encoder = write_folders(tmp_path / "made").encoder
    loaded = load_encoder(encoder)
    catalogue = pd.DataFrame(
        {
            "doc_id": [f"doc-{i}" for i in range(9)],
            "title": [f"word{i}" for i in range(9)],
            "text": "word50",
            "slice": None,
            "updated_at": pd.Timestamp("2026-01-05", tz="UTC"),
        }
    )

    class Earlier:
        """What a killed run had embedded; recognisable, as no real run would be."""

        digest, dimension, max_tokens = loaded.digest, loaded.dimension, 32

        def encode(self, texts):
            return np.eye(len(texts), self.dimension, dtype=np.float32)

    texts = indexed_texts(catalogue)[:4]
    with VectorCache.open(
        tmp_path / "vectors", encoder_digest=loaded.digest, dimension=loaded.dimension
    ) as cache:
        kept = cache.embed(Earlier(), texts, [text_digest(text) for text in texts])
    index_catalogue(
        catalogue,
        encoder=encoder,
        asked=None,
        to=tmp_path / "out",
        vectors=tmp_path / "vectors",
        section=write_params(tmp_path / "params.yaml").index,
    )
    index = Index.open(tmp_path / "out" / "index", encoder_digest=loaded.digest)
    scores, names = index.search(kept, 1)
    assert names[:, 0].tolist() == [f"doc-{i}" for i in range(4)]
    np.testing.assert_allclose(scores[:, 0], 1.0, atol=1e-6)
    others = loaded.encode(indexed_texts(catalogue)[4:])
    assert index.search(others, 1)[1][:, 0].tolist() == [f"doc-{i}" for i in range(4, 9)]
