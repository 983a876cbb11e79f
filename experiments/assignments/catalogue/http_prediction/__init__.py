"""Assignment http-prediction: page load times of four HTTP strategies, predicted by students and then measured."""
