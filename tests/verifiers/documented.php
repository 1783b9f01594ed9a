<?php
// Verifies signatures with the code that the product page *Webhook Overview* prints for PHP.
//
// Reads one JSON object {"body", "headers", "secret"} per line, with the names of headers in lower case, and answers
// each with a line, `ok` or `refused`.

namespace Page;

// Replaces that of PHP for the printed code, since no web server fills php://input here.
function file_get_contents(string $name): string
{
    return $name === 'php://input' ? $GLOBALS['body'] : throw new \ValueError($name);
}

function is_valid(string $your_webhook_secret): bool
{
// ---- Exactly as printed, since customers have copied it. Only the secret and the return are added. -------------------
$payload = file_get_contents('php://input');
$timestamp = $_SERVER['HTTP_X_WEBHOOK_TIMESTAMP'];
$signature = $_SERVER['HTTP_X_WEBHOOK_SIGNATURE'];
$secret = $your_webhook_secret;
$expected = 'sha256=' . hash_hmac('sha256', $timestamp . '.' . $payload, $secret);
if (hash_equals($expected, $signature)) {
// Valid webhook
return true;
}
// ---- End of the printed code ----------------------------------------------------------------------------------------------
return false;
}

while (($line = fgets(STDIN)) !== false) {
    ['body' => $body, 'headers' => $headers, 'secret' => $secret] = json_decode($line, true, flags: JSON_THROW_ON_ERROR);
    foreach ($headers as $name => $value) {
        $_SERVER['HTTP_' . strtoupper(strtr($name, '-', '_'))] = $value;
    }
    echo is_valid($secret) ? "ok\n" : "refused\n";
}
