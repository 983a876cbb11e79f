"""Assignment http-prediction: page-load times of four strategies, predicted before they are measured."""
