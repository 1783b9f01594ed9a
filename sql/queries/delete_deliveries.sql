-- Delivered ones are gone.
DELETE FROM hydra.delivery AS d WHERE d.id = ANY ($1)
