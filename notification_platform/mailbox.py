def urlpatterns():
    return []
