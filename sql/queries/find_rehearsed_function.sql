-- Returns a statement that calls the function with the OID $1, which has one argument of type jsonb.
SELECT c.call FROM hydra.function_of_json AS c WHERE c.function_id = $1
