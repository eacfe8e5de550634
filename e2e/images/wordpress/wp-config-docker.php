<?php
// Everything is read from the environment, at every request.
function from_environment($name, $default = '')
{
    $value = getenv('WORDPRESS_' . $name);
    return $value === false ? $default : $value;
}

define('DB_HOST', from_environment('DB_HOST', 'mysql'));
define('DB_NAME', from_environment('DB_NAME', 'wordpress'));
define('DB_USER', from_environment('DB_USER'));
define('DB_PASSWORD', from_environment('DB_PASSWORD'));
define('DB_CHARSET', 'utf8mb4');
define('DB_COLLATE', '');
foreach (['AUTH', 'SECURE_AUTH', 'LOGGED_IN', 'NONCE'] as $kind) {
    define($kind . '_KEY', from_environment($kind . '_KEY'));
    define($kind . '_SALT', from_environment($kind . '_SALT'));
}
$table_prefix = from_environment('TABLE_PREFIX', 'wp_');
define('WP_DEBUG', false);
if (strpos($_SERVER['HTTP_X_FORWARDED_PROTO'] ?? '', 'https') !== false) {
    $_SERVER['HTTPS'] = 'on';
}
if (from_environment('CONFIG_EXTRA') !== '') {
    eval(from_environment('CONFIG_EXTRA'));
}
if (!defined('ABSPATH')) {
    define('ABSPATH', __DIR__ . '/');
}
require_once ABSPATH . 'wp-settings.php';
