"""The page: one HTML file that shows what is there and what happened, for a browser, without a network.

`facts` gathers what is known, and `document` draws a page from nothing but that: `trouble` what needs a look, `grid`
how far every month is, `charts` rows and runs as bars, `months` a line for every part with the logs of its tries,
`runs` the runs, `speed` how long steps take, `states` how a state looks. `markup` is the only way to HTML: it escapes
every text. `style.css` and `keyboard.js` stand in the page as they are; its policy lets no other style or script work.
"""
