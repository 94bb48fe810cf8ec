from django.urls import path

from reporting.viewsets import StatisticsViewSet

urlpatterns = [
    path(
        "statistics/summary",
        StatisticsViewSet.as_view({"get": "summary"}),
        name="statistics-summary",
    ),
    path(
        "statistics/timeseries",
        StatisticsViewSet.as_view({"get": "timeseries"}),
        name="statistics-timeseries",
    ),
]
