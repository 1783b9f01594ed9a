<?php
// Asks the snippet of the page *Webhook Overview* whether signatures are genuine.
//
// Reads one JSON object {"body", "headers", "secret"} per line, with the names of headers in lower case, and answers
// each with a line, `ok` or `refused`.

namespace Page;

// Stands before PHP's own for the snippet, as there is no web server here to fill php://input.
function file_get_contents(string $name): string
{
    return $name === 'php://input' ? $GLOBALS['body'] : throw new \ValueError($name);
}

function is_valid(string $your_webhook_secret): bool
{
// ---- as the page prints it: not to be improved, since this is what customers have copied. Filled in are the secret,
// ---- and what is done with a valid request ---------------------------------------------------------------------------
$payload = file_get_contents('php://input');
$timestamp = $_SERVER['HTTP_X_WEBHOOK_TIMESTAMP'];
$signature = $_SERVER['HTTP_X_WEBHOOK_SIGNATURE'];
$secret = $your_webhook_secret;
$expected = 'sha256=' . hash_hmac('sha256', $timestamp . '.' . $payload, $secret);
if (hash_equals($expected, $signature)) {
// Valid webhook
return true;
}
// ---- the page ends here ----------------------------------------------------------------------------------------------
return false;
}

while (($line = fgets(STDIN)) !== false) {
    ['body' => $body, 'headers' => $headers, 'secret' => $secret] = json_decode($line, true, flags: JSON_THROW_ON_ERROR);
    foreach ($headers as $name => $value) {
        $_SERVER['HTTP_' . strtoupper(strtr($name, '-', '_'))] = $value;
    }
    echo is_valid($secret) ? "ok\n" : "refused\n";
}
