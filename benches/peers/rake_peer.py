"""RAKE by Python libraries: `rake_peer.py LINES PASSES LIBRARY STOPLIST`. rake-nltk is given stop words and tokenizers, so that it needs no data."""
import json
import sys
import time

lines = open(sys.argv[1], encoding="utf-8").read().split("\n")[:-1]
passes, library = int(sys.argv[2]), sys.argv[3]
stop = [w for w in open(sys.argv[4], encoding="utf-8").read().split("\n") if w and not w.startswith("#")]
if library == "rake-nltk":
    from nltk.tokenize import wordpunct_tokenize
    from rake_nltk import Rake

    rake = Rake(stopwords=set(stop), sentence_tokenizer=lambda text: [text], word_tokenizer=wordpunct_tokenize)

    def keywords(text):
        rake.extract_keywords_from_text(text)
        return rake.get_ranked_phrases_with_scores()
else:
    from multi_rake import Rake

    keywords = Rake(language_code="en", stopwords=set(stop)).apply
seconds = []
for _ in range(passes):
    start = time.process_time()
    found = sum(len(keywords(line)) for line in lines)
    seconds.append(time.process_time() - start)
print(json.dumps({"seconds": seconds, "queries": len(lines), "keywords": found}))
